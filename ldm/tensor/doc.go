// Package tensor holds the vocabulary that every other package shares: shapes, storage types,
// and graphs of operators as data, which backends compile and run.
//
// A model's forward pass is written once, as Go code that builds a Graph:
//
//	g := tensor.NewGraph()
//	x := g.Input("x", 1, 64, 64, 4)                    // [n, h, w, c]
//	h := tensor.SiLU(tensor.Conv2D(x, weight, bias, 1, tensor.Same(3)))
//	g.Output("h", h)
//	program, err := backend.Compile(g)
//
// Images are [n, h, w, c], tokens [n, l, d]; weights keep the layout of their checkpoint. A
// mistake in a shape is recorded in the graph, the first one wins, and Compile returns it; so
// model code has no error results. A node is named after the module whose weight it uses, other
// nodes after their first input: names are what profiles, taps and comparisons of backends show.
package tensor
