package bridge

import "errors"

// Errors that callers distinguish with errors.Is. The messages of the errors that wrap them say
// what was asked for.
var (
	ErrUnavailable = errors.New("bridge: this program was built without Metal")
	ErrNoDevice    = errors.New("bridge: there is no Metal device")
	ErrOutOfMemory = errors.New("bridge: the device is out of memory")
)

// An Error is what Metal or the checks of bridge.m say. It unwraps to [ErrNoDevice] or
// [ErrOutOfMemory] where it is one of these.
type Error struct {
	Op      string // what was asked for: `kernel "add_f16"`
	Message string // of one line or more; begins with Apple's error domain and code if there is one
	kind    error  // one of the above, or nil
}

// Error is "bridge: OP: MESSAGE".
func (e *Error) Error() string { return "bridge: " + e.Op + ": " + e.Message }

// Unwrap returns the kind of error, or nil.
func (e *Error) Unwrap() error { return e.kind }
