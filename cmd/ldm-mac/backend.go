package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/tensor"
	"ldm-mac/metal"
)

// backendFlags choose what computes.
func backendFlags() []cli.Flag {
	const group = "Machine"
	return []cli.Flag{
		&cli.StringFlag{Name: "backend", Usage: "`NAME` what computes: metal, cpu, or auto for metal where there is a device", Value: "auto", EnvVars: []string{"LDM_MAC_BACKEND"}, Category: group},
		&cli.StringFlag{Name: "dtype", Usage: "`TYPE` in which metal stores numbers, f16 or f32; the cpu has f32 only", DefaultText: "f16 on metal", Category: group},
		&cli.IntFlag{Name: "threads", Usage: "`N` processor cores that the cpu backend uses", DefaultText: "all", Category: group},
	}
}

// maxThreads is far above the cores of any machine; every thread has memory of its own.
const maxThreads = 1024

// machine is an open backend and how it stores numbers.
type machine struct {
	tensor.Backend
	dtype tensor.DType
}

// openBackend opens what the flags choose, with numbers stored as the flag --dtype says, or else as
// recorded does unless it is empty. Only --backend auto goes on without a device, and warns of
// anything but a program that was built without Metal. The caller closes the backend.
func openBackend(c *cli.Context, recorded string, warn func(string)) (machine, error) {
	threads := c.Int("threads")
	if c.IsSet("threads") && (threads < 1 || threads > maxThreads) {
		return machine{}, usagef("--threads %d, want 1 to %d", threads, maxThreads)
	}
	dtype, given := recorded, recorded != ""
	if c.IsSet("dtype") {
		dtype, given = c.String("dtype"), true
	}
	types := map[string]tensor.DType{"": tensor.F16, "f16": tensor.F16, "f32": tensor.F32}
	stored, known := types[dtype]
	if !known {
		return machine{}, usagef("unknown dtype %q, want f16 or f32", dtype)
	}
	name := c.String("backend")
	switch name {
	case "auto", "metal":
		b, err := metal.Open(metal.Options{DType: stored, Archive: archivePath(), TuningFile: tuningPath(), Notice: warn})
		if err == nil {
			return machine{b, stored}, nil
		}
		if name == "metal" {
			return machine{}, fmt.Errorf("%w; --backend cpu computes without a GPU", err)
		}
		if !errors.Is(err, metal.ErrUnavailable) {
			warn(fmt.Sprintf("%v; the cpu computes instead", err))
		}
	case "cpu":
		if c.IsSet("dtype") && stored != tensor.F32 {
			return machine{}, usagef("--dtype %s is for metal, the cpu has f32 only", dtype)
		}
	default:
		return machine{}, usagef("unknown backend %q, want auto, metal or cpu", name)
	}
	if given && stored != tensor.F32 {
		warn("the cpu computes in f32, not in f16")
	}
	return machine{cpu.New(threads), tensor.F32}, nil
}

// archivePath is where compiled kernels are kept between runs; empty for nowhere.
func archivePath() string { return cachePath("kernels.metalarchive") }

// tuningPath is where what verify --tune found is kept; empty for nowhere.
func tuningPath() string { return cachePath("tuning.json") }

// cachePath is a file in the program's folder of caches, which it makes; empty where that cannot be.
func cachePath(name string) string {
	caches, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	folder := filepath.Join(caches, "ldm-mac")
	if os.MkdirAll(folder, 0o755) != nil {
		return ""
	}
	return filepath.Join(folder, name)
}
