package main

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// header is a correct piece of Metal that needs no other header.
const header = `
typedef unsigned long NSUInteger;
@protocol NSObject
- (void)release;
@end
__attribute__((objc_root_class)) @interface NSObject <NSObject>
+ (instancetype)alloc;
@end
@class NSString;
enum MTLStorageMode : NSUInteger { MTLStorageModeShared, MTLStorageModeManaged, MTLStorageModePrivate };
typedef enum MTLStorageMode MTLStorageMode;
typedef struct { NSUInteger width, height, depth; } MTLSize;
@protocol MTLBuffer <NSObject>
- (void *)contents;
@end
@protocol MTLDevice <NSObject>
- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(NSUInteger)options;
@property (readonly) _Bool hasUnifiedMemory;
@end
@protocol MTLComputeCommandEncoder <NSObject>
- (void)dispatchThreads:(MTLSize)threads threadsPerThreadgroup:(MTLSize)group;
@end
@interface MTLArgumentDescriptor : NSObject
@end
@interface MTLHeapDescriptor : NSObject
@property MTLStorageMode storageMode;
@end
@interface MPSNDArrayDescriptor : NSObject
+ (instancetype)descriptorWithDataType:(unsigned int)type shape:(id)shape;
@end
@interface MPSGraphTensorData : NSObject
@end
typedef id<MTLDevice> Device;
void use(Device device) { [[device newBufferWithLength:1 options:0] contents]; }
`

// bound is what darwinkit says, read once.
var bound = sync.OnceValues(loadFacts)

// parse is the unit of an Objective-C source.
func parse(t *testing.T, source string) *unit {
	t.Helper()
	clang, err := exec.LookPath("clang-19")
	if err != nil {
		t.Skip("no clang-19, which .ci/check-darwin installs")
	}
	cmd := exec.Command(clang, "-target", "arm64-apple-macos14.0", "-x", "objective-c", "-w", "-fsyntax-only",
		"-Xclang", "-ast-dump=json", "-")
	cmd.Stdin = strings.NewReader(source)
	dump, err := output(cmd)
	if err != nil {
		t.Fatal(err)
	}
	u, err := readUnit(dump)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// replaced is text with old, which must be in it once, replaced.
func replaced(t *testing.T, text, old, new string) string {
	t.Helper()
	if n := strings.Count(text, old); n != 1 {
		t.Fatalf("%q is in the text %d times, want once", old, n)
	}
	return strings.Replace(text, old, new, 1)
}

// TestCompare makes one mistake at a time in a correct header.
func TestCompare(t *testing.T) {
	f, err := bound()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, old, new, want string }{
		{"nothing", "", "", ""},
		{"a selector with a typo", "dispatchThreads:", "dispatchThread:",
			"-[MTLComputeCommandEncoder dispatchThread:threadsPerThreadgroup:] s24s24>v: unknown to darwinkit"},
		{"a narrow integer", "(NSUInteger)length", "(unsigned int)length",
			"-[MTLDevice newBufferWithLength:options:] u4u8>p: its types are u8u8>p in darwinkit"},
		{"a signed integer", "(NSUInteger)options", "(long)options",
			"-[MTLDevice newBufferWithLength:options:] u8i8>p: its types are u8u8>p in darwinkit"},
		{"an integer for a bool", "_Bool hasUnifiedMemory", "int hasUnifiedMemory",
			"-[MTLDevice hasUnifiedMemory] >i4: its types are >B in darwinkit"},
		{"a small struct", "NSUInteger width, height, depth;", "NSUInteger width, height; unsigned depth, last, past;",
			"-[MTLComputeCommandEncoder dispatchThreads:threadsPerThreadgroup:] s32s32>v: its types are s24s24>v in darwinkit"},
		{"a narrow enum", "enum MTLStorageMode : NSUInteger", "enum MTLStorageMode : int",
			"-[MTLHeapDescriptor setStorageMode:] i4>v: its types are u8>v in darwinkit"},
		{"a wrong value", "MTLStorageModeManaged,", "",
			"MTLStorageModePrivate = 1: its value is 2 in darwinkit"},
		{"an unknown value", "MTLStorageModePrivate }", "MTLStorageModePrivate, MTLStorageModeSecret }",
			"MTLStorageModeSecret = 3: unknown to darwinkit"},
		{"an instance method for a class's", "+ (instancetype)descriptorWithDataType", "- (instancetype)descriptorWithDataType",
			"-[MPSNDArrayDescriptor descriptorWithDataType:shape:] u4p>p: unknown to darwinkit"},
		{"an unknown class", "@interface MTLHeapDescriptor :", "@interface MTLHeapDescription :",
			"@interface MTLHeapDescription: unknown to darwinkit"},
		{"a wrong superclass", "@interface MTLHeapDescriptor : NSObject", "@interface MTLHeapDescriptor : MTLArgumentDescriptor",
			"@interface MTLHeapDescriptor: its superclass is MTLArgumentDescriptor here, NSObject in darwinkit"},
		{"a receiver without a type", "typedef id<MTLDevice> Device", "typedef id Device",
			"[id newBufferWithLength:options:]: the receiver has no static type"},
		{"a message that nobody declares", "[[device newBuffer", "[(MTLHeapDescriptor *)0 used]; [[device newBuffer",
			"[MTLHeapDescriptor * used]: no header declares the method"},
		{"a function without a source", "@class NSString", "id MTLCopyAllDevices(void);\n@class NSString",
			"MTLCopyAllDevices: unknown to darwinkit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := header
			if test.old != "" {
				source = replaced(t, header, test.old, test.new)
			}
			agreed, wrong := f.compare(parse(t, source), nil)
			if test.want == "" && (len(wrong) > 0 || agreed < 15) {
				t.Errorf("%d statements agree, %q do not, want 15 and none", agreed, wrong)
			}
			if test.want != "" && !strings.Contains(strings.Join(wrong, "\n"), test.want) {
				t.Errorf("got %q, want %q", wrong, test.want)
			}
		})
	}
}

// TestAllowed checks that the allow list excuses what it names, and only that, and has no idle line.
func TestAllowed(t *testing.T) {
	f, err := bound()
	if err != nil {
		t.Fatal(err)
	}
	u := parse(t, `enum { MTLGPUFamilyApple8 = 1008, MTLGPUFamilyApple9 = 1009 };`)
	allowed, err := readAllowed("# new\n\nMTLGPUFamilyApple8 = 1008 | a source\nMTLGPUFamilyApple9 = 1010 | a source\n")
	if err != nil {
		t.Fatal(err)
	}
	_, wrong := f.compare(u, allowed)
	want := "MTLGPUFamilyApple9 = 1009: unknown to darwinkit\n" +
		"MTLGPUFamilyApple9 = 1010: is on the allow list, but needs no place there"
	if got := strings.Join(wrong, "\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := readAllowed("MTLGPUFamilyApple8 = 1008\n"); err == nil {
		t.Error("a line without a source is accepted")
	}
}

// TestSymbolOwners checks that the classes that the text stubs export exist.
func TestSymbolOwners(t *testing.T) {
	f, err := bound()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(symbolList) {
		_, class, isClass := strings.Cut(strings.TrimSpace(line), "_OBJC_CLASS_$_")
		if isClass && f.names[strings.ToLower(class)] != class {
			t.Errorf("class %s is unknown to darwinkit", class)
		}
	}
}
