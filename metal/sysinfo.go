package metal

// SysInfo is the state of the computer that explains a slow run.
type SysInfo struct {
	// System is the version of the operating system for people to read, such as "Version 14.5
	// (Build 23F79)"; empty if unknown.
	System string
	// Thermal is nominal, fair, serious or critical (NSProcessInfoThermalState); empty if unknown.
	// From serious on, the system slows the processors down.
	Thermal string
	// LowPower tells that the low power mode is on, which slows them down too.
	LowPower bool
}
