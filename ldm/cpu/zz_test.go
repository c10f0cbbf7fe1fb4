package cpu

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"ldm-mac/ldm/tensor"
)

func cpuTime() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(0, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func TestZZ(t *testing.T) {
	g := unet(2, 32, 320, []int{1, 2, 4, 4})
	n := 2
	if os.Getenv("SMALL") != "" {
		g = unet(2, 16, 64, []int{1, 2, 4})
		n = 40
	}
	b := New(0)
	t0, c0 := time.Now(), cpuTime()
	p, err := b.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	a, pk := b.Memory()
	fmt.Println("compile", time.Since(t0), "cpu", cpuTime()-c0, "mem MB", a>>20, pk>>20, "nodes", len(g.Fused().Nodes()))
	in := inputs(g)
	p.Run(context.Background(), in)
	pp := p.(*Program)
	pp.SetProfiling(true)
	t0, c0 = time.Now(), cpuTime()
	for range n {
		p.Run(context.Background(), in)
	}
	el, cp := time.Since(t0), cpuTime()-c0
	f := float64(g.Cost().FLOPs) * float64(n) / 1e9
	fmt.Printf("GF %.1f wall %v %.1f GF/s cpu %v %.1f GF/cpu-s\n", f/float64(n), el/time.Duration(n), f/el.Seconds(), cp/time.Duration(n), f/cp.Seconds())
	by := map[tensor.Op]time.Duration{}
	fl := map[tensor.Op]float64{}
	for _, x := range pp.Profile() {
		by[x.Node.Op] += x.Time / time.Duration(n)
		fl[x.Node.Op] += float64(x.Node.Cost().FLOPs) / 1e9
	}
	for op, d := range by {
		fmt.Printf("%-12s %10v %5.1f%%  %.1f GF %.1f GF/s\n", op, d, 100*d.Seconds()*float64(n)/el.Seconds(), fl[op], fl[op]/d.Seconds())
	}
	if os.Getenv("SMALL") != "" {
		for _, x := range pp.Profile() {
			fmt.Println(x.Node.Op, x.Node.Name, x.Node.Shape, x.Time/time.Duration(n))
		}
	}
}
