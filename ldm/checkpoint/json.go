package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// literals are the numbers that Python's json module writes although JSON knows none of them.
var literals = []string{"-Infinity", "Infinity", "NaN"}

// decodeJSON is json.Unmarshal for what Python programs write, with errors that name the field.
func decodeJSON(data []byte, into any) error {
	data = quoteLiterals(bytes.TrimPrefix(data, []byte("\ufeff")))
	err := json.Unmarshal(data, into)
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON: %w after %d of %d bytes", err, syntax.Offset, len(data))
	case errors.As(err, &mismatch):
		field := "the top level"
		if mismatch.Field != "" {
			field = fmt.Sprintf("field %q", mismatch.Field)
		}
		return fmt.Errorf("%s is %s, want %s", field, found(data, mismatch), wanted(mismatch.Type))
	}
	return err
}

// quoteLiterals turns Python's numbers beyond JSON into strings, outside of strings.
func quoteLiterals(data []byte) []byte {
	var out []byte
	done, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch {
		case inString && data[i] == '\\':
			i++
		case data[i] == '"':
			inString = !inString
		case !inString:
			for _, literal := range literals {
				if bytes.HasPrefix(data[i:], []byte(literal)) {
					out = append(out, data[done:i]...)
					out = append(out, `"`+literal+`"`...)
					done = i + len(literal)
					i = done - 1
					break
				}
			}
		}
	}
	if out == nil {
		return data
	}
	return append(out, data[done:]...)
}

// found describes a value of the wrong type; Python's literals, by now strings, by their name.
func found(data []byte, e *json.UnmarshalTypeError) string {
	for _, literal := range literals {
		if before := data[:min(int(e.Offset), len(data))]; bytes.HasSuffix(before, []byte(`"`+literal+`"`)) {
			return literal
		}
	}
	switch e.Value {
	case "string", "bool", "number":
		return "a " + e.Value
	case "array", "object":
		return "an " + e.Value
	}
	return "the " + e.Value // number 4.5
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a non-negative integer"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Pointer:
		return wanted(t.Elem())
	}
	return "an object"
}
