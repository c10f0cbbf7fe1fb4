//go:build (darwin || softmetal) && cgo

package bridge

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"
)

// standIns returns how many objects of the software Metal are alive; on a Mac there are none.
var standIns = func() int { return 0 }

func TestMain(m *testing.M) {
	code := m.Run()
	if n, objects := LiveObjects(), standIns(); n != 0 || objects != 0 {
		fmt.Fprintf(os.Stderr, "%d handles and %d objects are alive after all tests, want 0\n", n, objects)
		code = 1
	}
	os.Exit(code)
}

// open returns the device, to be closed by the test's end.
func open(t testing.TB) *Device {
	t.Helper()
	d, err := Open()
	if errors.Is(err, ErrNoDevice) && os.Getenv("CI") == "" {
		t.Skip("there is no Metal device")
	}
	check(t, err)
	t.Cleanup(d.Close)
	return d
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// closer lets a test's end close what it made.
func closer[T interface{ Close() }](t testing.TB) func(x T, err error) T {
	return func(x T, err error) T {
		t.Helper()
		check(t, err)
		t.Cleanup(x.Close)
		return x
	}
}

// randoms are numbers between -1 and 1, rounded to the type.
func randoms(n int, dtype DataType, seed uint64) []float32 {
	r, x := rand.New(rand.NewPCG(seed, 1)), make([]float32, n)
	for i := range x {
		x[i] = r.Float32()*2 - 1
		if dtype == Float16 {
			x[i] = fromHalf(toHalf(x[i]))
		}
	}
	return x
}

// filled is a buffer with these numbers in it.
func filled(t testing.TB, d *Device, dtype DataType, x []float32) *Buffer {
	t.Helper()
	b := closer[*Buffer](t)(d.NewBuffer(len(x) * dtype.Size()))
	store(b, dtype, x)
	return b
}

func store(b *Buffer, dtype DataType, x []float32) {
	if dtype == Float32 {
		copy(view[float32](b), x)
		return
	}
	for i, v := range x {
		view[uint16](b)[i] = toHalf(v)
	}
}

func numbers(b *Buffer, dtype DataType) []float32 {
	if dtype == Float32 {
		return append([]float32(nil), view[float32](b)...)
	}
	var x []float32
	for _, h := range view[uint16](b) {
		x = append(x, fromHalf(h))
	}
	return x
}

func view[T any](b *Buffer) []T {
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b.Bytes()))), b.Len()/int(unsafe.Sizeof(t)))
}

// bytesOfValue is a struct of arguments as the kernel sees it.
func bytesOfValue[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// toHalf rounds to the nearest float16, for magnitudes from 2^-14 to 65504 and zero.
func toHalf(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits<<1 == 0 || bits<<1>>24 < 113 {
		return uint16(bits >> 16 & 0x8000)
	}
	rounded := bits&0x7fffffff + 0xfff + bits>>13&1
	return uint16(bits>>16&0x8000 | (rounded-112<<23)>>13)
}

func fromHalf(h uint16) float32 {
	if h&0x7fff == 0 {
		return math.Float32frombits(uint32(h) << 16)
	}
	return math.Float32frombits(uint32(h&0x8000)<<16 | uint32(h&0x7fff)<<13 + 112<<23)
}

// run encodes with f, commits and waits.
func run(t testing.TB, d *Device, f func(c *Commands) error) {
	t.Helper()
	c := closer[*Commands](t)(d.Begin(t.Name()))
	check(t, f(c))
	check(t, c.Commit())
	seconds, err := c.Wait()
	check(t, err)
	if seconds < 0 {
		t.Errorf("the device took %g s", seconds)
	}
}

// distance is max|a-b| / max|b|.
func distance(a []float32, b []float64) float64 {
	var most, scale float64
	for i, v := range b {
		if d := math.Abs(float64(a[i]) - v); d > most || math.IsNaN(d) {
			most = d
		}
		scale = math.Max(scale, math.Abs(v))
	}
	return most / scale
}
