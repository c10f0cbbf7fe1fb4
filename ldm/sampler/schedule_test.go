package sampler

import (
	"math"
	"testing"
)

func near(t *testing.T, name string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %.7g, want %.7g within %.1g", name, got, want, tolerance)
	}
}

func plan(t *testing.T, name string, cfg Config, opt Options) *Sampler {
	t.Helper()
	s, err := New(name, cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each schedule is written out here for its first, a middle and its last training step.
func TestNoiseSchedule(t *testing.T) {
	cos2 := func(x float64) float64 { return math.Cos(x) * math.Cos(x) }
	cosine := func(t float64) float64 { return cos2((t+0.008)/1.008*math.Pi/2) / cos2(0.008/1.008*math.Pi/2) }
	product := func(beta func(i float64) float64, n int) float64 {
		p := 1.0
		for i := range n {
			p *= 1 - beta(float64(i))
		}
		return p
	}
	linear := func(i float64) float64 { return 0.0001 + i/999*0.0199 }
	scaled := func(i float64) float64 {
		return math.Pow(math.Sqrt(0.00085)+i/999*(math.Sqrt(0.012)-math.Sqrt(0.00085)), 2)
	}
	sigmoid := func(i float64) float64 { return 0.0001 + 0.0199/(1+math.Exp(6-12*i/999)) }
	for _, c := range []struct {
		schedule            string
		start, end          float64
		first, middle, last float64
	}{
		{"linear", 0.0001, 0.02, product(linear, 1), product(linear, 501), product(linear, 1000)},
		{"scaled_linear", 0.00085, 0.012, product(scaled, 1), product(scaled, 501), product(scaled, 1000)},
		{"sigmoid", 0.0001, 0.02, product(sigmoid, 1), product(sigmoid, 501), product(sigmoid, 1000)},
		// The cap of 0.999 only changes the last step.
		{"squaredcos_cap_v2", 0.0001, 0.02, cosine(0.001), cosine(0.501), cosine(0.999) * 0.001},
		{"exp", 0.0001, 0.02, math.Exp(-0.012), math.Exp(-12 * 0.501), math.Exp(-12)},
	} {
		s := plan(t, "ddpm", Config{BetaSchedule: c.schedule, BetaStart: &c.start, BetaEnd: &c.end}, Options{Steps: 10})
		const float32s = 3e-5 // a thousand roundings of 1-beta, 3e-8 each
		near(t, c.schedule+" first", s.alphaBar[0]/c.first, 1, float32s)
		near(t, c.schedule+" middle", s.alphaBar[500]/c.middle, 1, float32s)
		near(t, c.schedule+" last", s.alphaBar[999]/c.last, 1, float32s)
	}
}

// The ends of Stable Diffusion's noise levels as k-diffusion's users know them.
func TestSigmaRange(t *testing.T) {
	cfg := Config{BetaSchedule: "scaled_linear", BetaStart: new(0.00085), BetaEnd: new(0.012)}
	for _, name := range []string{"euler", "euler_karras", "euler_exponential", "euler_beta", "heun", "dpm2", "lms"} {
		sigmas := plan(t, name, cfg, Options{Steps: 20}).Sigmas()
		near(t, name+" sigma_max", sigmas[0], 14.6146, 1e-4)
		near(t, name+" sigma_min", sigmas[19], 0.0292, 1e-4)
		near(t, name+" last", sigmas[20], 0, 0)
	}
}

// The values are those of diffusers' tests/schedulers/test_scheduler_ddim.py, test_variance.
func TestPosteriorVariance(t *testing.T) {
	a := plan(t, "ddim", Config{}, Options{Steps: 10}).alphaBar
	for _, c := range []struct {
		t, before int
		want      float64
	}{{0, 0, 0}, {420, 400, 0.14771}, {980, 960, 0.32460}, {487, 486, 0.00979}, {999, 998, 0.02}} {
		got := (1 - a[c.before]) / (1 - a[c.t]) * (1 - a[c.t]/a[c.before])
		near(t, "variance", got, c.want, 1e-5)
	}
}

func TestZeroTerminalSNR(t *testing.T) {
	cfg := Config{RescaleBetasZeroSNR: true, PredictionType: "v_prediction", TimestepSpacing: "trailing"}
	plain := plan(t, "ddim", Config{}, Options{Steps: 10}).alphaBar
	s := plan(t, "ddim", cfg, Options{Steps: 10})
	near(t, "first", s.alphaBar[0], plain[0], 1e-9)
	near(t, "last", s.alphaBar[999], 0, 0)
	near(t, "sigma", plan(t, "euler", cfg, Options{Steps: 10}).Sigmas()[0], 4096, 1e-3) // √(2²⁴-1)
}

// The Beta(½, ½) distribution has F(x) = 2/π·asin √x, and Beta(1, 1) is uniform.
func TestBetaQuantile(t *testing.T) {
	for _, p := range []float64{0, 1e-6, 0.1, 0.37, 0.5, 0.8, 1} {
		sin := math.Sin(math.Pi / 2 * p)
		near(t, "arcsine", betaQuantile(p, 0.5), sin*sin, 1e-14)
		near(t, "uniform", betaQuantile(p, 1), p, 1e-14)
	}
}

// A polynomial through the levels is integrated exactly.
func TestExtrapolation(t *testing.T) {
	levels := []float64{9, 5, 3, 1, 0.5}
	for order := 1; order <= 4; order++ {
		for degree := range order {
			linear, logarithmic := 0.0, 0.0
			for j := range order {
				linear += lagrangeIntegral(levels, 3, order, j) * math.Pow(levels[3-j], float64(degree))
				if order <= 3 {
					logarithmic += logLagrangeIntegral(levels, 3, order, j) * math.Pow(math.Log(levels[3-j]), float64(degree))
				}
			}
			d := float64(degree + 1)
			near(t, "over sigma", linear, (math.Pow(0.5, d)-math.Pow(1, d))/d, 1e-12)
			if order <= 3 {
				antiderivative := [3]func(r, l float64) float64{
					func(r, l float64) float64 { return r },
					func(r, l float64) float64 { return r*l - r },
					func(r, l float64) float64 { return r*l*l - 2*(r*l-r) },
				}[degree]
				near(t, "over log", logarithmic, antiderivative(0.5, math.Log(0.5))-antiderivative(1, 0), 1e-12)
			}
		}
	}
}

func TestSolve(t *testing.T) {
	x := solve([][]float64{{0, 2, 1, 7}, {1, 1, 1, 6}, {2, 0, -1, -1}})
	for i, want := range []float64{1, 2, 3} {
		near(t, "solution", x[i], want, 1e-12)
	}
}
