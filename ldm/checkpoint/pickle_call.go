package checkpoint

import (
	"errors"
	"fmt"

	"ldm-mac/ldm/tensor"
)

// Values that come of what a pickle names and calls.
type (
	// global is a Python function or class, named and not called.
	global struct{ name string }
	// object is the result of a call that did not take place.
	object struct{ class string }
	// storage is a run of elements outside the pickle (torch/serialization.py, persistent_id).
	storage struct {
		class string // torch.FloatStorage and its like
		key   string
		count int64 // elements
		skip  int64 // elements before the first; nonzero for views of the legacy format
	}
	// strided is a tensor in a storage, unchecked.
	strided struct {
		storage      *storage
		offset       int64 // elements
		size, stride tuple
	}
)

// storageTypes are the storages whose elements this package reads (torch/storage.py).
var storageTypes = map[string]tensor.DType{
	"torch.FloatStorage": tensor.F32, "torch.HalfStorage": tensor.F16, "torch.BFloat16Storage": tensor.BF16,
	"torch.DoubleStorage": tensor.F64, "torch.LongStorage": tensor.I64, "torch.IntStorage": tensor.I32,
	"torch.ShortStorage": tensor.I16, "torch.CharStorage": tensor.I8, "torch.ByteStorage": tensor.U8,
	"torch.BoolStorage": tensor.Bool,
}

// call handles the opcodes that name, call and fill objects.
func (u *unpickler) call(op byte) error {
	switch op {
	case 'c', 'i': // GLOBAL; INST takes its arguments from above a mark
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		if err != nil {
			return err
		}
		callee := global{module + "." + name}
		if op == 'c' {
			u.push(callee)
			return nil
		}
		args, err := u.popMark()
		if err != nil {
			return err
		}
		return u.reduce(callee, args)
	case 0x93: // STACK_GLOBAL
		names, err := u.popN(2)
		if err != nil {
			return err
		}
		module, isText := names[0].(string)
		name, isTextToo := names[1].(string)
		if !isText || !isTextToo {
			return fmt.Errorf("pickle names a class by %s and %s, want strings", kind(names[0]), kind(names[1]))
		}
		u.push(global{module + "." + name})
		return nil
	case 'Q': // BINPERSID
		id, err := u.pop()
		if err != nil {
			return err
		}
		s, err := newStorage(id)
		if err != nil {
			return err
		}
		u.storages[s.key] = s.class
		u.push(s)
		return nil
	case 'o': // OBJ: the class and its arguments lie above a mark
		values, err := u.popMark()
		if err != nil {
			return err
		}
		if len(values) == 0 {
			return errors.New("pickle makes an object of no class")
		}
		return u.reduce(values[0], values[1:])
	case 'b': // BUILD sets attributes, of which none is needed
		if _, err := u.pop(); err != nil {
			return err
		}
		_, err := u.top()
		return err
	}
	n := 2 // REDUCE, NEWOBJ
	if op == 0x92 {
		n = 3 // NEWOBJ_EX: and keyword arguments
	}
	values, err := u.popN(n)
	if err != nil {
		return err
	}
	args, ok := values[1].(tuple)
	if !ok {
		return fmt.Errorf("pickle calls something with %s, want a tuple", kind(values[1]))
	}
	return u.reduce(values[0], args)
}

// reduce pushes the result of calling callee. The calls known here are the data of a checkpoint;
// all others push an object and are recorded.
func (u *unpickler) reduce(callee any, args []any) error {
	function, _ := callee.(global)
	switch function.name {
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		t, err := newStrided(args)
		u.push(t)
		return err
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.Size":
		if len(args) == 0 {
			return fmt.Errorf("pickle calls %s without arguments", function.name)
		}
		u.push(args[0])
	case "collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict":
		return u.newDict(args)
	case "builtins.set", "__builtin__.set", "builtins.frozenset", "_codecs.encode",
		"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype",
		"torch.device", "torch.serialization._get_layout":
		u.push(plain{})
	case "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
		"numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer":
		u.push(&object{"numpy.ndarray"})
	default:
		class := function.name
		if class == "" {
			class = kind(callee)
		}
		u.foreign[class] = true
		u.push(&object{class})
	}
	return nil
}

// newDict makes a dict of the pairs in the last argument; Python 2 wrote OrderedDict so.
func (u *unpickler) newDict(args []any) error {
	d := &dict{}
	u.push(d)
	if len(args) == 0 {
		return nil
	}
	pairs, _ := args[len(args)-1].(*list)
	if pairs == nil {
		return nil
	}
	for _, item := range pairs.items {
		var fields []any
		switch item := item.(type) {
		case *list:
			fields = item.items
		case tuple:
			fields = item
		}
		if len(fields) != 2 {
			return fmt.Errorf("pickle makes a dict of %s, want pairs", kind(item))
		}
		if err := d.add(fields); err != nil {
			return err
		}
	}
	return nil
}

// newStorage reads ("storage", class, key, location, count) and, in the legacy format, a view:
// None or (key, offset, count).
func newStorage(id any) (*storage, error) {
	fields, _ := id.(tuple)
	if len(fields) < 5 || fields[0] != "storage" {
		return nil, fmt.Errorf("pickle refers to %s outside itself, want a storage", kind(id))
	}
	class, ok := fields[1].(global)
	key, okKey := fields[2].(string)
	count, okCount := fields[4].(int64)
	if !ok || !okKey || !okCount {
		return nil, fmt.Errorf("storage has %s for a class, %s for a key and %s for a count",
			kind(fields[1]), kind(fields[2]), kind(fields[4]))
	}
	s := &storage{class: class.name, key: key, count: count}
	if len(fields) > 5 && fields[5] != nil {
		view, _ := fields[5].(tuple)
		if len(view) != 3 {
			return nil, fmt.Errorf("storage %q has %s for a view, want a tuple of 3", key, kind(fields[5]))
		}
		offset, ok := view[1].(int64)
		if s.count, okCount = view[2].(int64); !ok || !okCount {
			return nil, fmt.Errorf("storage %q has a view without an offset and a count", key)
		}
		s.skip = offset
	}
	return s, nil
}

func newStrided(args []any) (*strided, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("tensor of %d arguments, want a storage, an offset, sizes and strides", len(args))
	}
	t := &strided{}
	var ok [4]bool
	t.storage, ok[0] = args[0].(*storage)
	t.offset, ok[1] = args[1].(int64)
	t.size, ok[2] = args[2].(tuple)
	t.stride, ok[3] = args[3].(tuple)
	for i, what := range []string{"storage", "offset", "tuple of sizes", "tuple of strides"} {
		if !ok[i] {
			return nil, fmt.Errorf("tensor has %s where its %s belongs", kind(args[i]), what)
		}
	}
	return t, nil
}

// kind describes a value by its Python type for messages. It must not look into containers, which
// may hold themselves.
func kind(value any) string {
	switch v := value.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int64:
		return fmt.Sprintf("the int %d", v)
	case long:
		return "an int beyond 64 bits"
	case float64:
		return "a float"
	case string:
		return "a string"
	case *list:
		return "a list"
	case tuple:
		return "a tuple"
	case *dict:
		return "a dict"
	case plain:
		return "a plain value"
	case global:
		return fmt.Sprintf("the class %.100q", v.name)
	case *object:
		return fmt.Sprintf("an object of %.100q", v.class)
	case *storage:
		return "a storage"
	}
	return "a tensor"
}
