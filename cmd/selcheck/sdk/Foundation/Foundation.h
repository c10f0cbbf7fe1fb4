// The few declarations of Foundation that bridge.m, the stub headers of Metal and MPSGraph, and
// darwinkit use, written from public facts: names, types and nullability, which selcheck compares
// with darwinkit's bindings.

#pragma once

#import <Block.h>
#import <objc/NSObject.h>
#import <objc/objc.h>
#import <objc/runtime.h>
#import <stdbool.h>
#import <stdint.h>
#import <stdlib.h>
#import <string.h>

#pragma clang assume_nonnull begin

typedef unsigned char Byte;

@protocol NSCopying
- (id)copyWithZone:(nullable struct _NSZone *)zone;
@end

@interface NSObject (Copying)
- (id)copy;
- (id)mutableCopy;
@end

// What a loop "for (x in collection)" asks the collection for.
typedef struct {
	unsigned long state;
	id __unsafe_unretained _Nullable *_Nullable itemsPtr;
	unsigned long *_Nullable mutationsPtr;
	unsigned long extra[5];
} NSFastEnumerationState;

@protocol NSFastEnumeration
- (NSUInteger)countByEnumeratingWithState:(NSFastEnumerationState *)state
                                  objects:(id __unsafe_unretained _Nullable [_Nonnull])buffer
                                    count:(NSUInteger)length;
@end

@interface NSValue : NSObject <NSCopying>
@end

// What @(…) makes: clang picks the method by the expression's type.
@interface NSNumber : NSValue
+ (NSNumber *)numberWithInt:(int)value;
+ (NSNumber *)numberWithUnsignedInt:(unsigned int)value;
+ (NSNumber *)numberWithUnsignedInteger:(NSUInteger)value;
+ (NSNumber *)numberWithUnsignedLong:(unsigned long)value;
@property (readonly) unsigned long long unsignedLongLongValue;
@end

typedef enum NSStringEncoding : NSUInteger NSStringEncoding;
enum NSStringEncoding : NSUInteger {
	NSUTF8StringEncoding = 4,
};

@interface NSString : NSObject <NSCopying>
+ (nullable instancetype)stringWithUTF8String:(const char *)text;
- (nullable instancetype)initWithBytes:(const void *)bytes
                                length:(NSUInteger)length
                              encoding:(NSStringEncoding)encoding;
- (BOOL)isEqualToString:(NSString *)string;
@property (nullable, readonly) const char *UTF8String;
@end

@interface NSArray<__covariant Element> : NSObject <NSCopying, NSFastEnumeration>
+ (instancetype)array;
+ (instancetype)arrayWithObjects:(const Element _Nonnull [_Nonnull])objects count:(NSUInteger)count;
- (NSUInteger)indexOfObject:(Element)object;
- (Element)objectAtIndex:(NSUInteger)index;
@property (readonly) NSUInteger count;
@end

@interface NSMutableArray<Element> : NSArray <Element>
+ (instancetype)arrayWithCapacity:(NSUInteger)capacity;
- (void)addObject:(Element)object;
@end

@interface NSDictionary<__covariant Key, __covariant Element> : NSObject <NSCopying, NSFastEnumeration>
+ (instancetype)dictionary;
- (nullable Element)objectForKey:(Key)key;
- (nullable Element)objectForKeyedSubscript:(Key)key;
@property (readonly, copy) NSArray<Key> *allKeys;
@property (readonly) NSUInteger count;
@end

@interface NSMutableDictionary<Key, Element> : NSDictionary <Key, Element>
+ (instancetype)dictionaryWithCapacity:(NSUInteger)capacity;
- (void)setObject:(Element)object forKey:(Key<NSCopying>)key;
@end

@interface NSData : NSObject <NSCopying>
+ (instancetype)data;
+ (instancetype)dataWithBytes:(nullable const void *)bytes length:(NSUInteger)length;
@property (readonly) NSUInteger length;
@property (readonly) const void *bytes;
@end

@interface NSError : NSObject <NSCopying>
@property (readonly) NSInteger code;
@property (readonly, copy) NSString *domain;
@property (readonly, copy) NSString *localizedDescription;
@end

__attribute__((__objc_exception__))
@interface NSException : NSObject <NSCopying>
@property (readonly, copy) NSString *name;
@property (nullable, readonly, copy) NSString *reason;
@end

@interface NSURL : NSObject <NSCopying>
+ (NSURL *)fileURLWithPath:(NSString *)path;
@end

#pragma clang assume_nonnull end
