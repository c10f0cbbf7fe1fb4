package checkpoint

import (
	"errors"
	"fmt"
)

// ErrNotCheckpoint is wrapped by the errors of files whose content is of no known format.
var ErrNotCheckpoint = errors.New("not a checkpoint")

// Error is what every function of this package returns for a model that is missing, corrupt or
// unsupported. Errors about missing files also wrap fs.ErrNotExist.
type Error struct {
	Path string // the file or folder; empty when the fault is in a model without one
	Err  error
}

func (e *Error) Error() string {
	if e.Path == "" {
		return "checkpoint: " + e.Err.Error()
	}
	return fmt.Sprintf("checkpoint: %q: %v", e.Path, e.Err)
}

// Unwrap returns the fault without the path.
func (e *Error) Unwrap() error { return e.Err }

func errorf(path, format string, args ...any) error {
	return &Error{path, fmt.Errorf(format, args...)}
}
