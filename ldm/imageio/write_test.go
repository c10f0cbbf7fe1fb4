package imageio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// content writes s.
func content(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// wantFiles checks the whole folder: names and contents.
func wantFiles(t *testing.T, folder string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := want[entry.Name()]; !ok || s != string(data) {
			t.Errorf("file %s holds %q, want %q (%t)", entry.Name(), data, s, ok)
		}
	}
	if len(entries) != len(want) {
		t.Errorf("%d files, want %d", len(entries), len(want))
	}
}

func TestWriteFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.png")
	if err := WriteFile(path, false, content("one")); err != nil {
		t.Fatal(err)
	}
	err := WriteFile(path, false, content("two"))
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "imageio: write "+path+": file exists") {
		t.Errorf("error %v, want that %s exists", err, path)
	}
	wantFiles(t, folder, map[string]string{"a.png": "one"})
	if err := WriteFile(path, true, content("three")); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(folder, "b.png"), true, content("four")); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, folder, map[string]string{"a.png": "three", "b.png": "four"})
}

// The permissions are those of a file made in the plain way under the same umask.
func TestWriteFilePermissions(t *testing.T) {
	folder := t.TempDir()
	plain := filepath.Join(folder, "plain")
	if err := os.WriteFile(plain, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(plain)
	if err != nil {
		t.Fatal(err)
	}
	for _, overwrite := range []bool{false, true} {
		path := filepath.Join(folder, fmt.Sprint(overwrite))
		if err := WriteFile(path, overwrite, content("")); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Stat(path); err != nil || got.Mode() != want.Mode() {
			t.Errorf("overwrite %t: mode %v, %v, want %v", overwrite, got.Mode(), err, want.Mode())
		}
	}
}

// While it is written the file is not there under its name, and hidden under another.
func TestWriteFileIsHidden(t *testing.T) {
	folder := t.TempDir()
	err := WriteFile(filepath.Join(folder, "a.png"), false, func(w io.Writer) error {
		entries, err := os.ReadDir(folder)
		if err == nil && (len(entries) != 1 || !strings.HasPrefix(entries[0].Name(), ".")) {
			err = fmt.Errorf("folder holds %v, want one hidden file", entries)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A disk that is full at any byte leaves the folder as it was.
func TestWriteFileDiskFull(t *testing.T) {
	picture := encode(t, ramp(5, 3))
	for _, overwrite := range []bool{false, true} {
		folder := t.TempDir()
		path := filepath.Join(folder, "a.png")
		before := map[string]string{}
		if overwrite {
			before["a.png"] = "old"
			if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		for n := range picture {
			disk := &fullDisk{left: n}
			err := WriteFile(path, overwrite, func(w io.Writer) error {
				return Encode(io.MultiWriter(w, disk), PNG, ramp(5, 3), Options{})
			})
			if !errors.Is(err, errFull) || !strings.Contains(err.Error(), path) {
				t.Fatalf("full after %d bytes: error %v, want one that names %s", n, err, path)
			}
		}
		wantFiles(t, folder, before)
	}
}

func TestWriteFilePanic(t *testing.T) {
	folder := t.TempDir()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		WriteFile(filepath.Join(folder, "a.png"), false, func(io.Writer) error { panic("mid-write") })
	}()
	wantFiles(t, folder, nil)
}

func TestWriteFileErrors(t *testing.T) {
	folder := t.TempDir()
	file, taken := filepath.Join(folder, "file"), filepath.Join(folder, "folder")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(taken, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path      string
		overwrite bool
		want      string
	}{
		{filepath.Join(folder, "missing", "a.png"), false, "no such file or directory"},
		{filepath.Join(file, "a.png"), false, "not a directory"},
		{taken, false, "file exists"},
		{taken, true, "exists and is not a regular file"},
		{os.DevNull, true, os.DevNull},
		{filepath.Join(folder, strings.Repeat("n", 300)), false, "file name too long"},
		{filepath.Join(folder, strings.Repeat("n", 300)), true, "file name too long"},
	} {
		err := WriteFile(c.path, c.overwrite, content("x"))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) || strings.Contains(err.Error(), ".tmp") {
			t.Errorf("%s, overwrite %t: error %v, want %q", c.path, c.overwrite, err, c.want)
		}
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("%d entries, %v, want the 2 made here", len(entries), err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s is %v, %v, want the device it was", os.DevNull, info.Mode(), err)
	}
}

func TestWriteFileUnwritableFolder(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write to any folder")
	}
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o500); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "a.png")
	for _, overwrite := range []bool{false, true} {
		err := WriteFile(path, overwrite, content("x"))
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want that %s may not be written", err, path)
		}
	}
}

func TestFreePath(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a.png", "a-2.png", "b", "c.tar.gz", "d.png"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(folder, "d-2.png")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{"a.png", "a-3.png"}, {"b", "b-2"}, {"c.tar.gz", "c.tar-2.gz"}, {"d.png", "d-3.png"}, {"e.png", "e.png"},
	} {
		path, want := filepath.Join(folder, c.path), filepath.Join(folder, c.want)
		if got := FreePath(path); got != want {
			t.Errorf("%s: free path %s, want %s", c.path, got, want)
		}
		if got, err := WriteFreeFile(path, content("x")); got != want || err != nil {
			t.Errorf("%s: written to %s, %v, want %s", c.path, got, err, want)
		}
	}
	if got, err := WriteFreeFile(filepath.Join(folder, "missing", "a"), content("")); err == nil || got != "" {
		t.Errorf("written to %q, want an error", got)
	}
}

// Writers at once each get a name of their own, and every file is whole.
func TestWriteFreeFileAtOnce(t *testing.T) {
	const writers = 20
	folder := t.TempDir()
	path := filepath.Join(folder, "a.png")
	var group sync.WaitGroup
	names := make([]string, writers)
	for i := range writers {
		group.Go(func() {
			var err error
			if names[i], err = WriteFreeFile(path, content(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	want := map[string]string{}
	for i, name := range names {
		want[filepath.Base(name)] = fmt.Sprint(i)
	}
	if len(want) != writers {
		slices.Sort(names)
		t.Errorf("names %v, want %d different ones", names, writers)
	}
	wantFiles(t, folder, want)
}

// The way without hard links keeps the same promises.
func TestReserve(t *testing.T) {
	folder := t.TempDir()
	temporary, path := filepath.Join(folder, "temporary"), filepath.Join(folder, "a.png")
	if err := os.WriteFile(temporary, []byte("new"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := reserve(temporary, path); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, folder, map[string]string{"a.png": "new"})
	if err := reserve(temporary, path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want that the file exists", err)
	}
	if err := reserve(temporary, filepath.Join(folder, "b.png")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want that the temporary file is missing", err)
	}
	wantFiles(t, folder, map[string]string{"a.png": "new"})
}
