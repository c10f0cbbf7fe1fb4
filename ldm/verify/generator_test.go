package verify

import "testing"

func TestGeneratorChecks(t *testing.T) { runChecks(t, "generator", generatorChecks()) }

// runChecks runs the checks of a group and holds them to what Check promises.
func runChecks(t *testing.T, group string, checks []Check) {
	t.Helper()
	if len(checks) == 0 {
		t.Fatalf("no check of group %s", group)
	}
	seen := map[string]bool{}
	for _, c := range checks {
		if c.Group != group || c.Source == "" || seen[c.Name] {
			t.Errorf("check %q of group %q and source %q: want a name of its own, group %q and a source",
				c.Name, c.Group, c.Source, group)
		}
		seen[c.Name] = true
		difference, tolerance, err := c.Run()
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		} else if !(difference <= tolerance) {
			t.Errorf("%s: difference %.3g, want at most %.3g (%s)", c.Name, difference, tolerance, c.Source)
		}
	}
}

// A check that cannot fail proves nothing.
func TestGeneratorChecksFail(t *testing.T) {
	for _, c := range []Check{
		word("word", "", 1, func() uint32 { return 2 }),
		philox("philox", "", [4]uint32{}, [2]uint32{}, [4]uint32{}),
		numbers("numbers", "", fourDecimals, []float64{0, 1}, func() []float64 { return []float64{0, 1.001} }),
	} {
		if difference, tolerance, err := c.Run(); err != nil || difference <= tolerance {
			t.Errorf("%s: difference %.3g within %.3g", c.Name, difference, tolerance)
		}
	}
}
