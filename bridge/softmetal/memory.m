//go:build softmetal && linux && cgo

// This file stands in for buffers and heaps.

#import "object.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 16, CANARY = 0xa5 };

bool soft_pages_make(struct soft_pages *p, size_t length) {
	size_t page = (size_t)getpagesize(), whole = (length + page - 1) / page * page;
	char *map = mmap(NULL, whole + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) return false;
	if (mprotect(map + page, whole, PROT_READ | PROT_WRITE) != 0) {
		munmap(map, whole + 2 * page);
		return false;
	}
	p->map = map;
	p->mapped = whole + 2 * page;
	p->start = map + page + (whole - length) / ALIGNMENT * ALIGNMENT;
	p->length = length;
	for (char *end = map + page + whole, *c = p->start + length; c < end; c++) *c = (char)CANARY;
	return true;
}

void soft_pages_free(struct soft_pages *p) {
	if (p->map == NULL) return;
	size_t page = (size_t)getpagesize();
	for (char *end = p->map + p->mapped - page, *c = p->start + p->length; c < end; c++) {
		if (*c == (char)CANARY) continue;
		fprintf(stderr, "softmetal: byte %td of a buffer of %zu was written\n", c - p->start, p->length);
		abort();
	}
	munmap(p->map, p->mapped);
	memset(p, 0, sizeof *p);
}

@implementation SoftBuffer

- (id)initWithDevice:(SoftDevice *)d length:(NSUInteger)n {
	if (![d take:n]) {
		[self release];
		return nil;
	}
	device = [d retain];
	length = n;
	if (!soft_pages_make(&pages, n)) {
		[self release];
		return nil;
	}
	start = pages.start;
	return self;
}

- (id)initWithBytes:(void *)bytes length:(NSUInteger)n {
	start = bytes;
	length = n;
	return self;
}

- (id)initWithHeap:(SoftHeap *)h offset:(NSUInteger)offset length:(NSUInteger)n {
	heap = [h retain];
	start = h->pages.start + offset;
	length = n;
	return self;
}

- (NSUInteger)length {
	return length;
}

- (void *)contents {
	return start;
}

- (void)setLabel:(NSString *)label {
	(void)label;
}

- (void)dealloc {
	soft_pages_free(&pages);
	[device giveBack:length];
	[device release];
	[heap release];
	[super dealloc];
}

@end

@implementation SoftHeap

- (id)initWithDevice:(SoftDevice *)d length:(NSUInteger)n {
	if (![d take:n]) {
		[self release];
		return nil;
	}
	device = [d retain];
	if (!soft_pages_make(&pages, n)) {
		[self release];
		return nil;
	}
	memset(pages.start, 0xff, n); // NaN in every type: a heap's memory is not zero-filled
	return self;
}

- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options offset:(NSUInteger)offset {
	if (options != MTLResourceStorageModeShared) soft_invalid(self, _cmd, @"options 0x%lx are not those of the heap", (unsigned long)options);
	if (offset % soft_settings.heap_alignment != 0) soft_invalid(self, _cmd, @"offset(%lu) is not aligned", (unsigned long)offset);
	if (length == 0 || offset > pages.length || length > pages.length - offset)
		soft_invalid(self, _cmd, @"offset(%lu) + length(%lu) is beyond the heap(%zu)", (unsigned long)offset, (unsigned long)length, pages.length);
	if (soft_strikes(&soft_faults.allocation)) return nil;
	return [[SoftBuffer alloc] initWithHeap:self offset:offset length:length];
}

- (void)dealloc {
	[device giveBack:pages.length];
	soft_pages_free(&pages);
	[device release];
	[super dealloc];
}

@end

@implementation MTLHeapDescriptor

- (void)setSize:(NSUInteger)s {
	size = s;
}

- (void)setStorageMode:(MTLStorageMode)mode {
	storage = mode;
}

- (void)setHazardTrackingMode:(MTLHazardTrackingMode)mode {
	hazards = mode;
}

- (void)setType:(MTLHeapType)t {
	type = t;
}

@end
