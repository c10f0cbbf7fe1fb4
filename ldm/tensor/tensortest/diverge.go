package tensortest

import (
	"context"
	"fmt"

	"ldm-mac/ldm/tensor"
)

// Diverge computes every node of g, fused as backends compute it, on a and on b from one array
// per input, and returns the name of the first node, in the order of computation, for which the
// normalised mean square error Σ(a-b)²/Σb² exceeds bound, and that error. The name is "" when
// none does. It returns the errors of Compile and Run of both backends.
func Diverge(ctx context.Context, a, b tensor.Backend, g *tensor.Graph, in map[string]tensor.Array, bound float64) (node string, nmse float64, err error) {
	if err := g.Err(); err != nil {
		return "", 0, err
	}
	observed := g.Fused().Observed()
	var results [2]map[string]tensor.Array
	for i, backend := range []tensor.Backend{a, b} {
		program, err := backend.Compile(observed)
		if err != nil {
			return "", 0, fmt.Errorf("tensortest: %s: %w", backend.Name(), err)
		}
		defer program.Close()
		if results[i], err = program.Run(ctx, in); err != nil {
			return "", 0, fmt.Errorf("tensortest: %s: %w", backend.Name(), err)
		}
	}
	for _, o := range observed.Outputs() {
		left, right := results[0][o.Name].Data, results[1][o.Name].Data
		if len(left) != len(right) {
			return "", 0, fmt.Errorf("tensortest: node %q has %d values on %s and %d on %s", o.Name, len(left), a.Name(), len(right), b.Name())
		}
		if nmse, _ := errorsOf(left, right); nmse > bound {
			return o.Name, nmse, nil
		}
	}
	return "", 0, nil
}
