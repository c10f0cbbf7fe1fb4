package msl

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ldm-mac/bridge/softmetal/runtime/device"
)

// Compiler is the clang that compiles what the rewriter made. Version 19 is the first that has
// everything used here: _Float16 rounded at each operation, and the flags below.
const Compiler = "clang-19"

// ErrNoCompiler tells that Compiler is not installed.
var ErrNoCompiler = errors.New("msl: " + Compiler + " is not installed; on Debian: apt-get install clang-19 lld-19 libclang-rt-19-dev")

// Options says what to make of kernels.
type Options struct {
	Include []string // folders of included files
	Checked bool     // instrument loads and stores for the runtime's checkers
	Cache   string   // folder for what all libraries share; empty for one in os.TempDir
}

// headers are the names under which Apple's library is included; all are softmetal.h.
var headers = []string{"metal_stdlib", "metal_atomic", "metal_common", "metal_compute", "metal_geometric",
	"metal_integer", "metal_limits", "metal_math", "metal_matrix", "metal_numeric", "metal_relational",
	"metal_simdgroup", "metal_simdgroup_matrix", "metal_type_traits"}

// language are the flags of every compilation of kernels. The last makes half round at each
// operation, as a GPU does.
var language = []string{"-x", "c++", "-std=c++17", "-Wall", "-Wextra", "-Werror=vla",
	"-Wno-unknown-attributes", "-Wno-ignored-attributes", "-Wno-unused", "-Wno-duplicate-decl-specifier",
	"-Wno-missing-field-initializers", "-Wno-unknown-pragmas", "-Wno-psabi",
	"-flax-vector-conversions=none", "-fno-exceptions", "-fno-rtti", "-ffp-contract=fast", "-fno-math-errno",
	"-Xclang", "-ffloat16-excess-precision=none"}

// Preprocess runs the C preprocessor over files, one after the other, as one source of MSL 3.0.
func Preprocess(ctx context.Context, files []string, o Options) (string, error) {
	shared, err := prepare(ctx, o.Cache)
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, f := range files {
		path, err := filepath.Abs(f)
		if err != nil {
			return "", fmt.Errorf("msl: %w", err)
		}
		fmt.Fprintf(&all, "#include %q\n", path)
	}
	args := []string{"-E", "-x", "c++", "-std=c++17", "-nostdinc", "-I", filepath.Join(shared, "include"),
		"-D__METAL__=1", "-D__METAL_VERSION__=300", "-D__METAL_MACOS__=1"}
	for _, dir := range o.Include {
		args = append(args, "-I", dir)
	}
	return clang(ctx, all.String(), append(args, "-")...)
}

// LintFiles returns the problems of files: see [Lint].
func LintFiles(ctx context.Context, files []string, o Options) ([]Problem, error) {
	src, err := Preprocess(ctx, files, o)
	if err != nil {
		return nil, err
	}
	return Lint(files[0], src)
}

// CheckStrict type-checks files with address spaces as part of the types; warnings are errors.
func CheckStrict(ctx context.Context, files []string, o Options) error {
	src, err := Preprocess(ctx, files, o)
	if err != nil {
		return err
	}
	shared, err := prepare(ctx, o.Cache)
	if err != nil {
		return err
	}
	cpp, err := Rewrite(files[0], src, true)
	if err != nil {
		return err
	}
	args := append([]string{"-fsyntax-only", "-DSM_STRICT", "-Werror"}, language...)
	args = append(args, "-nostdlibinc", "-ffreestanding", "-I", filepath.Join(shared, "src"), "-I", shared, "-")
	_, err = clang(ctx, cpp, args...)
	return err
}

// Compile makes a kernel library of files at output, for sm_library_open.
func Compile(ctx context.Context, files []string, output string, o Options) error {
	src, err := Preprocess(ctx, files, o)
	if err != nil {
		return err
	}
	shared, err := prepare(ctx, o.Cache)
	if err != nil {
		return err
	}
	cpp, err := Rewrite(files[0], src, false)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(output), ".mslc-")
	if err != nil {
		return fmt.Errorf("msl: %w", err)
	}
	defer os.RemoveAll(dir)
	object, library := filepath.Join(dir, "kernels.o"), filepath.Join(dir, "library.so")
	args := append([]string{"-c", "-O2", "-fPIC", "-march=native", "-gline-tables-only", "-fvisibility=hidden"}, language...)
	args = append(args, "-nostdlibinc", "-I", filepath.Join(shared, "src"), "-I", shared)
	if o.Checked {
		args = append(args, checks...)
	}
	if _, err := clang(ctx, cpp, append(args, "-o", object, "-")...); err != nil {
		return err
	}
	if err := link(ctx, library, object, shared); err != nil {
		return err
	}
	if err := appendLines(library); err != nil {
		return err
	}
	if err := os.Rename(library, output); err != nil {
		return fmt.Errorf("msl: %w", err)
	}
	return nil
}

// checks make clang call the executor before each access: see check.cpp. Vector instructions would
// join accesses, and loops become calls that are seen as one access.
var checks = []string{"-DSM_CHECKED", "-fno-vectorize", "-fno-slp-vectorize",
	"-fsanitize=thread", "-mllvm", "-tsan-instrument-func-entry-exit=0", "-mllvm", "-tsan-instrument-read-before-write=1",
	"-fsanitize=bounds,integer-divide-by-zero"}

func link(ctx context.Context, library, object, shared string) error {
	args := []string{"-shared", "-fuse-ld=lld", "-Wl,-Bsymbolic", "-o", library, object}
	executor, err := filepath.Glob(filepath.Join(shared, "*.o"))
	if err != nil {
		return fmt.Errorf("msl: %w", err)
	}
	_, err = clang(ctx, "", append(append(args, executor...), "-lm")...)
	return err
}

// clang runs the compiler; its messages become the error.
func clang(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, Compiler, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", ErrNoCompiler
	case err != nil && messages.Len() > 0:
		return "", fmt.Errorf("%s", strings.TrimSpace(messages.String()))
	case err != nil:
		return "", fmt.Errorf("msl: %s: %w", Compiler, err)
	}
	return out.String(), nil
}

// prepare returns the folder of what all libraries share: the headers, and the executor compiled.
// It is made once, named by the hash of what it is made of.
func prepare(ctx context.Context, cache string) (string, error) {
	if cache == "" {
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("softmetal-%d", os.Getuid()))
	}
	sources, err := fs.Glob(device.Sources, "src/*")
	if err != nil {
		return "", fmt.Errorf("msl: %w", err)
	}
	hash := sha256.New()
	for _, name := range sources {
		data, err := device.Sources.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("msl: %w", err)
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(data), data)
	}
	dir := filepath.Join(cache, "runtime-"+hex.EncodeToString(hash.Sum(nil)[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", fmt.Errorf("msl: %w", err)
	}
	work, err := os.MkdirTemp(cache, ".runtime-")
	if err != nil {
		return "", fmt.Errorf("msl: %w", err)
	}
	defer os.RemoveAll(work)
	if err := buildShared(ctx, work); err != nil {
		return "", err
	}
	if err := os.Rename(work, dir); err != nil {
		if _, other := os.Stat(dir); other != nil { // else another process was first
			return "", fmt.Errorf("msl: %w", err)
		}
	}
	return dir, nil
}

// buildShared writes the headers to dir and compiles the executor there.
func buildShared(ctx context.Context, dir string) error {
	if err := os.CopyFS(dir, device.Sources); err != nil {
		return fmt.Errorf("msl: %w", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "include"), 0o755); err != nil {
		return fmt.Errorf("msl: %w", err)
	}
	for _, name := range headers {
		if err := os.WriteFile(filepath.Join(dir, "include", name), nil, 0o644); err != nil {
			return fmt.Errorf("msl: %w", err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "src", "*.cpp"))
	if err != nil {
		return fmt.Errorf("msl: %w", err)
	}
	for _, f := range files {
		object := filepath.Join(dir, strings.TrimSuffix(filepath.Base(f), ".cpp")+".o")
		_, err := clang(ctx, "", "-c", "-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-fno-exceptions",
			"-fno-rtti", "-I", dir, "-o", object, f)
		if err != nil {
			return err
		}
	}
	return nil
}
