package main

import (
	"cmp"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/emoji"
	"ldm-mac/ldm/verify"
	"ldm-mac/metal"
)

// device is what a report says of the GPU and the system around it.
type device struct {
	Name              string `json:"name"`
	Architecture      string `json:"architecture"`
	AppleFamily       int    `json:"apple_family"`
	WorkingSet        int    `json:"working_set_bytes"`
	MaxBuffer         int    `json:"max_buffer_bytes"`
	ThreadgroupMemory int    `json:"threadgroup_memory_bytes"`
	UnifiedMemory     bool   `json:"unified_memory"`
	DType             string `json:"dtype"`
	System            string `json:"system"`
	Platform          string `json:"platform"`
	Thermal           string `json:"thermal"`
	LowPower          bool   `json:"low_power"`
	Program           string `json:"program"`
}

// verifyDevice compares the GPU with the CPU.
func verifyDevice(c *cli.Context) error {
	dtype, err := parseDType(cmp.Or(c.String("dtype"), defaultDType))
	if err != nil {
		return err
	}
	if n := c.Int("steps"); n < 1 || n > 1000 {
		return usagef("--steps %d, want 1 to 1000", n)
	}
	options := metal.Options{DType: dtype, Archive: archivePath(), TuningFile: tuningPath(), Notice: warnPlain(c)}
	var tuning *tuned
	if c.Bool("tune") {
		if tuning, err = tune(c, options); err != nil {
			return err
		}
		options.Tuning = &tuning.tuning
	}
	gpu, err := metal.Open(options)
	if err != nil {
		return err
	}
	defer gpu.Close()
	if tuning != nil {
		if err := tuning.store(metal.DeviceName(gpu.Info())); err != nil {
			return err
		}
	}
	reference := cpu.New(c.Int("threads"))
	defer reference.Close()
	v, err := runChecks(c, gpu, verify.DeviceChecks(gpu, reference, dtype, emoji.FS(), c.Int("steps")))
	if err != nil {
		return err
	}
	v.Tuning = tuning
	info, system := gpu.Info(), metal.ReadSysInfo()
	v.Device = &device{
		Name: info.Name, Architecture: info.Architecture, AppleFamily: info.AppleFamily, WorkingSet: info.WorkingSet,
		MaxBuffer: info.MaxBuffer, ThreadgroupMemory: info.ThreadgroupMemory, UnifiedMemory: info.UnifiedMemory,
		DType: strings.ToLower(dtype.String()), System: system.System, Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Thermal: system.Thermal, LowPower: system.LowPower, Program: "ldm-mac " + version,
	}
	return v.report(c)
}
