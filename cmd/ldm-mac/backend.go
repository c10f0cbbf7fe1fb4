package main

import (
	"cmp"
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
	stored, err := parseDType(cmp.Or(dtype, defaultDType))
	if err != nil {
		return machine{}, err
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

// defaultDType is how metal stores numbers where the user does not say.
const defaultDType = "f16"

// parseDType reads the value of a flag --dtype.
func parseDType(text string) (tensor.DType, error) {
	switch text {
	case "f16":
		return tensor.F16, nil
	case "f32":
		return tensor.F32, nil
	}
	return 0, usagef("unknown dtype %q, want f16 or f32", text)
}

// archivePath is where compiled kernels are kept between runs; empty for nowhere.
func archivePath() string { return cachePath("kernels.metalarchive") }

// tuningPath is where what verify --tune found is kept; empty for nowhere.
func tuningPath() string { return cachePath("tuning.json") }

// cachePath is a file in the program's folder of caches, which may not exist; empty where there is
// no such folder.
func cachePath(name string) string {
	caches, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(caches, "ldm-mac", name)
}
