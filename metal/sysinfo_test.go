package metal

import (
	"slices"
	"testing"
)

func TestReadSysInfo(t *testing.T) {
	info := ReadSysInfo()
	if !slices.Contains([]string{"", "nominal", "fair", "serious", "critical"}, info.Thermal) {
		t.Errorf("thermal state %q is unknown", info.Thermal)
	}
}
