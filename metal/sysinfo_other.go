//go:build !darwin || !cgo

package metal

// ReadSysInfo knows nothing where there is no NSProcessInfo.
func ReadSysInfo() SysInfo { return SysInfo{} }
