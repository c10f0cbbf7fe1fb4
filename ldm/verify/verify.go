// Package verify holds published test vectors as checks that run on the user's machine. The
// tests of this package run every one of them.
package verify

import "ldm-mac/ldm/tensor"

// Check compares what this program computes with a value somebody else published.
type Check struct {
	Group  string // "sampler", "generator", "tokenizer", "operator", "pipeline"
	Name   string // what is computed, unique within its group
	Source string // where the expected value is published: a public file or a paper
	// Run returns the largest difference and the tolerance that the source allows; the check
	// passes when err is nil and difference <= tolerance.
	Run func() (difference, tolerance float64, err error)
}

// Checks returns every check that needs no model, in the order of a report. Operators are
// computed on backend, which the caller keeps.
func Checks(backend tensor.Backend) []Check {
	var checks []Check
	checks = append(checks, samplerChecks()...)
	checks = append(checks, generatorChecks()...)
	checks = append(checks, tokenizerChecks()...)
	checks = append(checks, operatorChecks(backend)...)
	return checks
}
