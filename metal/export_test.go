package metal

// SetMostFLOPs changes the work of one command buffer, and returns what it was.
func SetMostFLOPs(flops int64) (former int64) {
	former, mostFLOPs = mostFLOPs, flops
	return former
}
