package msl

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

// appendLines adds to a library a table from addresses to lines, which the host searches when a
// kernel faults: lines of "<hexadecimal address> <line> <file>", then their length in 16 digits.
func appendLines(library string) error {
	table, err := lineTable(library)
	if err != nil {
		return fmt.Errorf("msl: line table: %w", err)
	}
	f, err := os.OpenFile(library, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("msl: %w", err)
	}
	_, err = fmt.Fprintf(f, "%s%016d\n", table, len(table))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("msl: %w", err)
	}
	return nil
}

func lineTable(library string) (string, error) {
	f, err := elf.Open(library)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := f.DWARF()
	if err != nil {
		return "", err
	}
	var rows []dwarf.LineEntry
	units := data.Reader()
	for {
		unit, err := units.Next()
		if err != nil {
			return "", err
		}
		if unit == nil {
			break
		}
		if unit.Tag == dwarf.TagCompileUnit {
			if rows, err = appendRows(rows, data, unit); err != nil {
				return "", err
			}
		}
		units.SkipChildren()
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].Address < rows[j].Address })
	var out strings.Builder
	last := ""
	for _, r := range rows {
		if r.File == nil || r.Line == 0 {
			continue
		}
		place := fmt.Sprintf("%d %s", r.Line, r.File.Name)
		if place != last {
			fmt.Fprintf(&out, "%x %s\n", r.Address, place)
		}
		last = place
	}
	return out.String(), nil
}

func appendRows(rows []dwarf.LineEntry, data *dwarf.Data, unit *dwarf.Entry) ([]dwarf.LineEntry, error) {
	lines, err := data.LineReader(unit)
	if err != nil || lines == nil {
		return rows, err
	}
	for {
		var row dwarf.LineEntry
		if err := lines.Next(&row); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
}
