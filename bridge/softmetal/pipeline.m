//go:build softmetal && linux && cgo

// This file stands in for pipelines and for the archives that keep them. An archive's file is text:
// a first line that names the format, then a line for each pipeline.

#import "object.h"
#include <stdio.h>

static NSString *const domain = @"MTLBinaryArchiveDomain";
static NSString *const magic = @"softmetal archive 1";

@implementation MTLComputePipelineDescriptor

- (void)setComputeFunction:(id<MTLFunction>)f {
	[f retain];
	[function release];
	function = (SoftFunction *)f;
}

- (void)setBinaryArchives:(NSArray *)a {
	[a retain];
	[archives release];
	archives = a;
}

- (void)dealloc {
	[function release];
	[archives release];
	[super dealloc];
}

@end

@implementation SoftPipeline

- (id)initWithFunction:(SoftFunction *)f {
	function = [f retain];
	return self;
}

- (NSUInteger)maxTotalThreadsPerThreadgroup {
	return sm_kernel_info(function->kernel).max_threads;
}

- (NSUInteger)threadExecutionWidth {
	return SM_SIMDGROUP_THREADS;
}

- (NSUInteger)staticThreadgroupMemoryLength {
	return 0; // known only when it runs, and checked then
}

- (void)dealloc {
	[function release];
	[super dealloc];
}

@end

@implementation MTLBinaryArchiveDescriptor

- (void)setUrl:(NSURL *)u {
	[u retain];
	[url release];
	url = u;
}

- (void)dealloc {
	[url release];
	[super dealloc];
}

@end

@implementation SoftArchive

- (id)initWithURL:(NSURL *)url error:(NSError **)error {
	keys = [NSMutableSet new];
	if (url == nil) return self;
	NSString *text = [NSString stringWithContentsOfFile:[url path] encoding:NSUTF8StringEncoding error:NULL];
	NSArray *lines = [text componentsSeparatedByString:@"\n"];
	if ([lines count] < 2 || ![[lines objectAtIndex:0] isEqualToString:magic] || [[lines lastObject] length] != 0) {
		if (error != NULL) *error = soft_error(domain, MTLBinaryArchiveErrorInvalidFile, @"%@ is no archive of this device", [url path]);
		[self release];
		return nil;
	}
	[keys addObjectsFromArray:[lines subarrayWithRange:NSMakeRange(1, [lines count] - 2)]];
	return self;
}

- (BOOL)addComputePipelineFunctionsWithDescriptor:(MTLComputePipelineDescriptor *)d error:(NSError **)error {
	(void)error;
	[keys addObject:[d->function key]];
	return YES;
}

- (BOOL)serializeToURL:(NSURL *)url error:(NSError **)error {
	FILE *file = fopen([[url path] UTF8String], "w");
	bool written = file != NULL && fprintf(file, "%s\n", [magic UTF8String]) > 0;
	for (NSString *key in keys) written = written && fprintf(file, "%s\n", [key UTF8String]) > 0;
	if (file != NULL) written = fclose(file) == 0 && written;
	if (!written && error != NULL) *error = soft_error(domain, MTLBinaryArchiveErrorUnexpectedElement, @"%@ cannot be written", [url path]);
	return written;
}

- (void)dealloc {
	[keys release];
	[super dealloc];
}

@end
