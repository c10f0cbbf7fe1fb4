//go:build softmetal && linux && cgo

// This file holds the settings, the faults, the counters and the base class of the stand-ins.

#import "object.h"
#include <objc/runtime.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)SOFT_ALL_CHECKERS == (int)SM_CHECK_ALL, "one value in two headers");

struct soft_settings soft_settings;
struct soft_faults soft_faults;
struct soft_counts soft_counts;

static uint64_t number(const char *name, uint64_t otherwise) {
	const char *text = getenv(name);
	return text == NULL || *text == 0 ? otherwise : strtoull(text, NULL, 0);
}

// fault returns the number behind name= in the list of SOFTMETAL_FAULT, 1 for name alone, else 0.
static uint32_t fault(const char *name) {
	const char *list = getenv("SOFTMETAL_FAULT");
	size_t n = strlen(name);
	while (list != NULL && *list != 0) {
		if (strncmp(list, name, n) == 0 && (list[n] == 0 || list[n] == ',')) return 1;
		if (strncmp(list, name, n) == 0 && list[n] == '=') return (uint32_t)strtoul(list + n + 1, NULL, 0);
		list = strchr(list, ',');
		if (list != NULL) list++;
	}
	return 0;
}

void soft_start(void) {
	static bool started;
	if (started) return;
	started = true;
	const char *sums = getenv("SOFTMETAL_MPS_ACCUMULATE");
	soft_settings.seed = (uint32_t)number("SOFTMETAL_SEED", 1);
	soft_settings.checkers = number("SOFTMETAL_CHECK", 1) ? SOFT_ALL_CHECKERS : 0;
	soft_settings.half_sums = sums != NULL && strcmp(sums, "f16") == 0;
	soft_settings.eager = number("SOFTMETAL_EAGER", 0) != 0;
	soft_settings.continue_every = (uint32_t)number("SOFTMETAL_MPS_CONTINUE", 0);
	soft_settings.heap_alignment = number("SOFTMETAL_HEAP_ALIGNMENT", 256);
	soft_settings.memory = number("SOFTMETAL_MEMORY", (uint64_t)16 << 30);
	soft_faults.no_device = fault("no-device") != 0;
	soft_faults.no_sharing = fault("no-sharing") != 0;
	soft_faults.no_compiler = fault("no-compiler") != 0;
	soft_faults.no_waits = fault("no-waits") != 0;
	soft_faults.event = fault("event");
	soft_faults.allocation = fault("allocation");
	soft_faults.command_buffer = fault("command-buffer");
	soft_faults.code = fault("code");
}

struct soft_settings soft_get_settings(void) {
	soft_start();
	return soft_settings;
}

void soft_set_settings(struct soft_settings s) {
	soft_start();
	soft_settings = s;
}

struct soft_faults soft_get_faults(void) {
	soft_start();
	return soft_faults;
}

void soft_set_faults(struct soft_faults f) {
	soft_start();
	soft_faults = f;
}

struct soft_counts soft_get_counts(void) {
	return soft_counts;
}

bool soft_strikes(uint32_t *countdown) {
	return *countdown > 0 && --*countdown == 0;
}

void soft_invalid(id object, SEL method, NSString *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	NSString *text = [[[NSString alloc] initWithFormat:format arguments:arguments] autorelease];
	va_end(arguments);
	NSString *reason = [NSString stringWithFormat:@"-[%@ %@]: failed assertion `%@'", [object class], NSStringFromSelector(method), text];
	@throw [NSException exceptionWithName:@"MTLValidation" reason:reason userInfo:nil];
}

NSError *soft_error(NSString *domain, NSInteger code, NSString *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	NSString *text = [[[NSString alloc] initWithFormat:format arguments:arguments] autorelease];
	va_end(arguments);
	return [NSError errorWithDomain:domain code:code userInfo:[NSDictionary dictionaryWithObject:text forKey:NSLocalizedDescriptionKey]];
}

// SoftGone is the class of an object after its last release. It is kept a while, so that what still
// holds it, without a retain, is found.
@interface SoftGone : NSObject
@end

@implementation SoftGone

static void gone(SEL method) {
	fprintf(stderr, "softmetal: %s was sent to an object that is gone: a retain is missing, or a release is too many\n", sel_getName(method));
	abort();
}

- (id)retain {
	gone(_cmd);
	return nil;
}

- (oneway void)release {
	gone(_cmd);
}

- (id)autorelease {
	gone(_cmd);
	return nil;
}

- (BOOL)isKindOfClass:(Class)class {
	(void)class;
	gone(_cmd);
	return NO;
}

- (NSMethodSignature *)methodSignatureForSelector:(SEL)method {
	gone(method);
	return nil;
}

@end

// bury keeps an object for the next few thousand burials, and then frees it.
static void bury(id object) {
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static id graves[4096];
	static size_t next;
	object_setClass(object, [SoftGone class]);
	pthread_mutex_lock(&mutex);
	if (graves[next] != nil) NSDeallocateObject(graves[next]);
	graves[next] = object;
	next = (next + 1) % (sizeof graves / sizeof graves[0]);
	pthread_mutex_unlock(&mutex);
}

@implementation SoftObject

+ (id)allocWithZone:(NSZone *)zone {
	__atomic_add_fetch(&soft_counts.objects, 1, __ATOMIC_RELAXED);
	return [super allocWithZone:zone];
}

- (id)copyWithZone:(NSZone *)zone {
	(void)zone;
	return [self retain];
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wobjc-missing-super-calls"
- (void)dealloc {
	__atomic_sub_fetch(&soft_counts.objects, 1, __ATOMIC_RELAXED);
	bury(self);
}
#pragma clang diagnostic pop

@end
