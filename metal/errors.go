package metal

import "ldm-mac/bridge"

// Errors of Open that callers distinguish with errors.Is.
var (
	ErrUnavailable = bridge.ErrUnavailable // the program was built without Metal
	ErrNoDevice    = bridge.ErrNoDevice
)
