package tensor_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"ldm-mac/ldm/tensor"
)

// checkPlan plays a graph on the plan's arena, where every byte remembers which value was written
// to it last, and reports reads of anything else. It knows nothing of lifetimes.
func checkPlan(g *tensor.Graph, p *tensor.Plan) error {
	nodes := g.Nodes()
	if p.Size < p.Bound {
		return fmt.Errorf("size %d is below the bound %d", p.Size, p.Bound)
	}
	arena := make([]int, p.Size) // the value in each byte, as the index of its node plus one
	value := make([]int, len(nodes))
	place := func(t *tensor.Tensor) (from, to int64) {
		from = p.Offset[t.Index()]
		return from, from + int64(t.Shape.Elements()*t.DType.Size())
	}
	read := func(t *tensor.Tensor, reader string) error {
		if t.Op == tensor.OpParam {
			return nil
		}
		from, to := place(t)
		for at := from; at < to; at++ {
			if arena[at] != value[t.Index()] {
				return fmt.Errorf("%s reads %q, whose byte %d was overwritten by node %d", reader, t.Name, at-from, arena[at]-1)
			}
		}
		return nil
	}
	write := func(t *tensor.Tensor) {
		value[t.Index()] = t.Index() + 1
		from, to := place(t)
		for at := from; at < to; at++ {
			arena[at] = value[t.Index()]
		}
	}
	for i, t := range nodes {
		from, to := place(t)
		switch {
		case t.Op == tensor.OpParam:
			if from != -1 {
				return fmt.Errorf("parameter %q is placed at %d", t.Name, from)
			}
			continue
		case from < 0 || to > p.Size || from%256 != 0: // the strictest alignment of Metal's buffers
			return fmt.Errorf("%q lies at %d to %d of %d", t.Name, from, to, p.Size)
		case t.Op == tensor.OpInput:
			write(nodes[i]) // before anything is computed
		}
	}
	for _, t := range nodes {
		if t.Op == tensor.OpInput || t.Op == tensor.OpParam {
			continue
		}
		from, to := place(t)
		for _, operand := range t.Inputs {
			if err := read(operand, fmt.Sprintf("%q", t.Name)); err != nil {
				return err
			}
			if operand.Op == tensor.OpParam {
				continue
			}
			a, b := place(operand)
			switch {
			case b <= from || to <= a:
			case a == from && b == to && (elementwise(t.Op) || t.Op == tensor.OpReshape):
			default:
				return fmt.Errorf("%s %q is written over its operand %q", t.Op, t.Name, operand.Name)
			}
		}
		view := t.Op == tensor.OpReshape && t.Inputs[0].Op != tensor.OpParam
		if view && from != p.Offset[t.Inputs[0].Index()] {
			return fmt.Errorf("reshape %q is not where its operand is", t.Name)
		}
		if view {
			value[t.Index()] = value[t.Inputs[0].Index()]
		} else {
			write(t)
		}
	}
	for _, o := range g.Outputs() {
		if err := read(o.Value, "the caller"); err != nil {
			return err
		}
	}
	return nil
}

func elementwise(op tensor.Op) bool {
	switch op {
	case tensor.OpAdd, tensor.OpMul, tensor.OpAffine, tensor.OpSiLU, tensor.OpGELU, tensor.OpQuickGELU:
		return true
	}
	return false
}

// randomGraph has up to 40 nodes of all kinds of memory use: in place, views, other sizes and
// types, parameters, useless nodes, inputs and views as outputs.
func randomGraph(r *rand.Rand) *tensor.Graph {
	g := tensor.NewGraphOf([]tensor.DType{tensor.F32, tensor.F16, tensor.BF16}[r.IntN(3)])
	size := func() int { return 1 + r.IntN(9)*r.IntN(9) }
	all := []*tensor.Tensor{g.Input("first", size(), size())}
	pick := func() *tensor.Tensor { return all[max(0, len(all)-1-r.IntN(1+r.IntN(len(all))))] }
	for i := range 2 + r.IntN(40) {
		x := pick()
		h, w := x.Shape[0], x.Shape[1]
		var y *tensor.Tensor
		switch r.IntN(13) {
		case 0:
			y = g.Input(fmt.Sprintf("input%d", i), size(), size())
		case 1:
			y = tensor.Add(x, g.Param(weight(w)))
		case 2:
			y = tensor.Affine(tensor.Reshape(g.Param(weight(w, h)), h, w), 1, 1)
		case 3:
			y = tensor.SiLU(x)
		case 4, 5:
			y = tensor.Reshape(x, w, h)
		case 6:
			y = tensor.Permute(x, 1, 0)
		case 7:
			y = tensor.Concat(0, x, x)
		case 8:
			y = tensor.Slice(x, 1, 0, 1+r.IntN(w))
		case 9:
			y = tensor.Cast(x, []tensor.DType{tensor.F32, tensor.F16, tensor.BF16}[r.IntN(3)])
		case 10:
			y = tensor.Linear(x, weight(size(), w), nil)
		case 11:
			y = tensor.Mul(x, x)
		case 12:
			y = tensor.Affine(x, 2, 0)
			for _, b := range all {
				if b != x && b.Shape.Equal(x.Shape) && r.IntN(2) == 0 {
					y = tensor.Add(x, b)
				}
			}
		}
		all = append(all, y)
	}
	for i, t := range all {
		if i == len(all)-1 || r.IntN(6) == 0 {
			g.Output(fmt.Sprint("y", i), t)
		}
	}
	return g
}

func TestPlanOfRandomGraphs(t *testing.T) {
	inPlace, views := 0, 0
	for seed := range uint64(3000) {
		g := randomGraph(rand.New(rand.NewPCG(seed, 0)))
		if err := g.Err(); err != nil {
			t.Fatal(err)
		}
		f := g.Fused()
		p := tensor.NewPlan(f)
		if err := checkPlan(f, p); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i, node := range f.Nodes() {
			if len(node.Inputs) > 0 && node.Inputs[0].Op != tensor.OpParam && p.Offset[i] == p.Offset[node.Inputs[0].Index()] {
				if node.Op == tensor.OpReshape {
					views++
				} else {
					inPlace++
				}
			}
		}
	}
	if inPlace == 0 || views == 0 {
		t.Errorf("%d nodes in place and %d views: the graphs test nothing", inPlace, views)
	}
}

func TestPlanOfObservedGraphs(t *testing.T) {
	for seed := range uint64(200) {
		g := randomGraph(rand.New(rand.NewPCG(seed, 1))).Observed()
		if err := checkPlan(g, tensor.NewPlan(g)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// The checker has to find nodes that were moved onto others: every node of the chain is read
// after the next one is computed.
func TestPlanCheckerFindsOverlaps(t *testing.T) {
	g := tensor.NewGraph()
	x := tensor.Softmax(g.Input("x", 4, 4))
	for range 4 {
		x = tensor.Concat(0, x, tensor.Softmax(x))
	}
	g.Output("y", x)
	if err := checkPlan(g, tensor.NewPlan(g)); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(g.Nodes()); i++ {
		p := tensor.NewPlan(g)
		p.Offset[i] = p.Offset[i-1]
		if err := checkPlan(g, p); err == nil {
			t.Errorf("node %d on node %d is not found", i, i-1)
		}
	}
}

func TestPlanByHand(t *testing.T) {
	const kib = 1024
	x := func(g *tensor.Graph, name string) *tensor.Tensor { return g.Input(name, 1, 256) } // 1 KiB
	tests := []struct {
		name  string
		build func(g *tensor.Graph)
		bound int64
	}{
		{"input only", func(g *tensor.Graph) { g.Output("y", x(g, "x")) }, kib},
		{"an input is not overwritten", func(g *tensor.Graph) { g.Output("y", tensor.SiLU(x(g, "x"))) }, 2 * kib},
		{"chain in place", func(g *tensor.Graph) {
			g.Output("y", tensor.Affine(tensor.GELU(tensor.SiLU(x(g, "x"))), 1, 1))
		}, 2 * kib},
		{"chain of softmax", func(g *tensor.Graph) {
			g.Output("y", tensor.Softmax(tensor.Softmax(tensor.Softmax(x(g, "x")))))
		}, 2 * kib},
		{"views are free", func(g *tensor.Graph) {
			y := tensor.Reshape(tensor.Softmax(x(g, "x")), 16, 16)
			g.Output("y", tensor.SiLU(tensor.Reshape(y, 256)))
		}, 2 * kib},
		{"second operand stays", func(g *tensor.Graph) {
			a := tensor.Softmax(x(g, "x"))
			g.Output("y", tensor.Add(a, tensor.Softmax(a)))
		}, 2 * kib},
		{"skip", func(g *tensor.Graph) {
			a := tensor.Softmax(x(g, "x"))
			b := tensor.Softmax(tensor.Softmax(a))
			g.Output("y", tensor.Softmax(tensor.Add(b, a)))
		}, 3 * kib},
		{"two inputs from the start", func(g *tensor.Graph) {
			a := tensor.Softmax(x(g, "x"))
			g.Output("y", tensor.Add(a, x(g, "late")))
		}, 3 * kib},
		{"outputs to the end", func(g *tensor.Graph) {
			a := tensor.Softmax(x(g, "x"))
			g.Output("a", a)
			b := tensor.SiLU(a)
			g.Output("b", b)
			g.Output("y", tensor.SiLU(b))
		}, 3 * kib},
		{"parameters elsewhere", func(g *tensor.Graph) {
			g.Output("y", tensor.Linear(x(g, "x"), weight(256, 256), weight(256)))
		}, 2 * kib},
		{"a parameter as output", func(g *tensor.Graph) {
			g.Output("w", g.Param(weight(256)))
			g.Output("y", tensor.Softmax(tensor.Softmax(tensor.Softmax(x(g, "x")))))
		}, 2 * kib},
		{"rounded up", func(g *tensor.Graph) { g.Output("y", tensor.Softmax(g.Input("x", 3))) }, 512},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := tensor.NewGraph()
			test.build(g)
			if err := g.Err(); err != nil {
				t.Fatal(err)
			}
			p := tensor.NewPlan(g)
			if p.Bound != test.bound || p.Size != test.bound {
				t.Errorf("bound %d and size %d, want %d", p.Bound, p.Size, test.bound)
			}
			if err := checkPlan(g, p); err != nil && count(g, tensor.OpParam) == 0 {
				t.Error(err)
			}
		})
	}
}
