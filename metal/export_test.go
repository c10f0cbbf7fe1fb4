package metal

// SetMostFLOPs changes the work of one command buffer, and returns what it was.
func SetMostFLOPs(flops int64) (former int64) {
	former, mostFLOPs = mostFLOPs, flops
	return former
}

// Ahead tells whether the beginning of an evaluation is encoded ahead.
func (b *Backend) Ahead() bool { return b.ahead != nil }
