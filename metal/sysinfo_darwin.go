//go:build cgo

package metal

import (
	"strconv"

	"github.com/progrium/darwinkit/macos/foundation"
)

// thermalStates are the names of NSProcessInfoThermalState's values.
var thermalStates = map[foundation.ProcessInfoThermalState]string{
	foundation.ProcessInfoThermalStateNominal:  "nominal",
	foundation.ProcessInfoThermalStateFair:     "fair",
	foundation.ProcessInfoThermalStateSerious:  "serious",
	foundation.ProcessInfoThermalStateCritical: "critical",
}

// ReadSysInfo asks NSProcessInfo.
func ReadSysInfo() SysInfo {
	process := foundation.ProcessInfo_ProcessInfo()
	thermal, known := thermalStates[process.ThermalState()]
	if !known {
		thermal = "state " + strconv.Itoa(int(process.ThermalState()))
	}
	return SysInfo{
		System:   process.OperatingSystemVersionString(),
		Thermal:  thermal,
		LowPower: process.IsLowPowerModeEnabled(),
	}
}
