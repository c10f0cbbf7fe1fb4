package msl

import (
	"fmt"
	"strconv"
	"strings"
)

// A kernel is an entry point, or the template of some.
type kernel struct {
	name       string
	template   bool
	params     []parameter
	maxThreads string
}

// A parameter of a kernel: what gives its argument, by the names of softmetal::given.
type parameter struct {
	name, given string
	index       int
	constant    string // the function constant that says whether it exists, empty for none
}

// An instance is a kernel that the host finds: a function, or an instance of a template.
type instance struct {
	hostName string // quoted
	function string
	kernel   *kernel
}

// givenBy maps attributes of parameters to softmetal::given.
var givenBy = map[string]string{
	"buffer":                              "buffer",
	"threadgroup":                         "threadgroup_memory",
	"thread_position_in_grid":             "thread_position_in_grid",
	"thread_position_in_threadgroup":      "thread_position_in_threadgroup",
	"threadgroup_position_in_grid":        "threadgroup_position_in_grid",
	"threads_per_threadgroup":             "threads_per_threadgroup",
	"dispatch_threads_per_threadgroup":    "threads_per_threadgroup",
	"threadgroups_per_grid":               "threadgroups_per_grid",
	"threads_per_grid":                    "threads_per_grid",
	"thread_index_in_threadgroup":         "thread_index_in_threadgroup",
	"thread_index_in_simdgroup":           "thread_index_in_simdgroup",
	"simdgroup_index_in_threadgroup":      "simdgroup_index_in_threadgroup",
	"simdgroups_per_threadgroup":          "simdgroups_per_threadgroup",
	"dispatch_simdgroups_per_threadgroup": "simdgroups_per_threadgroup",
	"threads_per_simdgroup":               "threads_per_simdgroup",
	"thread_execution_width":              "threads_per_simdgroup",
}

// isPosition tells whether an attribute's type has as many dimensions as the grid.
func isPosition(attribute string) bool {
	switch givenBy[attribute] {
	case "thread_position_in_grid", "thread_position_in_threadgroup", "threadgroup_position_in_grid",
		"threads_per_threadgroup", "threadgroups_per_grid", "threads_per_grid":
		return true
	}
	return false
}

// kernel notes a kernel's parameters, and makes it an ordinary function.
func (r *rewriter) kernel(d *decl) error {
	if d.namespace != "" {
		return r.problem(d.nameAt, "kernel %s is inside of namespace %s", d.name, strings.TrimSuffix(d.namespace, "::"))
	}
	k := &kernel{name: d.name, template: d.template, maxThreads: "SM_MAX_THREADS_PER_THREADGROUP"}
	if a := d.attribute("max_total_threads_per_threadgroup"); a != nil {
		k.maxThreads = spell(a.args)
	}
	params, err := r.parameterList(d)
	if err != nil {
		return err
	}
	k.params = params
	r.kernels = append(r.kernels, k)
	if !d.template {
		r.instances = append(r.instances, instance{strconv.Quote(d.name), d.name, k})
	}
	r.dropKeyword(d.start, d.params[0], "kernel")
	r.dropAttributes(d.start, d.nameAt)
	at := &r.tokens[r.headOf(d)]
	at.word = "static " + at.word
	return nil
}

// headOf returns the index of a declaration's first token after its template list.
func (s *source) headOf(d *decl) int {
	if !d.template {
		return d.start
	}
	return closingAngle(s.tokens, d.start+1) + 1
}

func (r *rewriter) dropAttributes(start, end int) {
	for i := start; i < end; i++ {
		if isAttribute(r.tokens, i) {
			close := closing(r.tokens, i)
			r.replace(i, close+1, "")
			i = close
		}
	}
}

// parameterList reads a kernel's parameters; buffers without an attribute take the next index.
func (r *rewriter) parameterList(d *decl) ([]parameter, error) {
	var list []parameter
	nextBuffer, nextThreadgroup := 0, 0
	at := d.params[0]
	for _, part := range split(r.tokens[d.params[0]:d.params[1]]) {
		bare, attrs := attributesOf(part)
		if len(bare) == 1 && bare[0].word == "void" {
			continue
		}
		p := parameter{name: r.tokens[r.variableName(at, at+len(part))].word}
		for _, a := range attrs {
			if a.name == "function_constant" {
				p.constant = spell(a.args)
				continue
			}
			given := givenBy[a.name]
			if given == "" {
				return nil, r.problem(at, "kernel %s: parameter %s has the unknown attribute %s", d.name, p.name, a.name)
			}
			p.given = given
			if len(a.args) > 0 {
				n, err := strconv.Atoi(spell(a.args))
				if err != nil || n < 0 || n > 30 {
					return nil, r.problem(at, "kernel %s: %s(%s) of parameter %s is no index from 0 to 30", d.name, a.name, spell(a.args), p.name)
				}
				p.index = n
			}
		}
		switch {
		case p.given != "":
		case !has(bare, "*") && !has(bare, "&"):
			return nil, r.problem(at, "kernel %s: parameter %s has no attribute that says what it is", d.name, p.name)
		case has(bare, "threadgroup"):
			p.given, p.index = "threadgroup_memory", nextThreadgroup
		default:
			p.given, p.index = "buffer", nextBuffer
		}
		switch p.given {
		case "buffer":
			nextBuffer = p.index + 1
		case "threadgroup_memory":
			nextThreadgroup = p.index + 1
		}
		list = append(list, p)
		at += len(part) + 1
	}
	r.dropAttributes(d.params[0], d.params[1])
	return list, nil
}

// instance notes a named instance of a kernel's template, and makes it an explicit instantiation.
func (r *rewriter) instance(d *decl) error {
	template, _, _ := strings.Cut(d.name, " ")
	i := instance{hostName: strconv.Quote(template), function: d.name}
	for _, k := range r.kernels {
		if k.name == template {
			i.kernel = k
		}
	}
	if i.kernel == nil {
		return r.problem(d.nameAt, "an instance of %s, which is no kernel declared before", template)
	}
	if a := d.attribute("host_name"); a != nil {
		i.hostName = spell(a.args)
	}
	for _, other := range r.instances {
		if other.hostName == i.hostName {
			return r.problem(d.nameAt, "two kernels have the name %s", i.hostName)
		}
	}
	r.instances = append(r.instances, i)
	r.dropKeyword(d.start, d.end, "kernel")
	r.dropAttributes(d.start, d.end)
	return nil
}

// tables appends the kernels and the function constants as data for the executor.
func (r *rewriter) tables(out *strings.Builder) {
	if r.strict {
		return
	}
	for _, k := range r.kernels {
		fmt.Fprintf(out, "static constexpr softmetal::parameter sm_parameters_%s[] = {", k.name)
		for _, p := range k.params {
			exists := "nullptr"
			if p.constant != "" {
				exists = fmt.Sprintf("[] { return (bool)%s; }", p.constant)
			}
			fmt.Fprintf(out, "{%q, softmetal::given::%s, %d, %s}, ", p.name, p.given, p.index, exists)
		}
		out.WriteString("{}};\n")
	}
	counts := map[string]int{}
	for _, k := range r.kernels {
		fmt.Fprintf(out, "static const sm_constant_info sm_constants_%s[] = {", k.name)
		list := r.constantsOf(k.name)
		for _, c := range list {
			fmt.Fprintf(out, "SM_CONSTANT_INFO(%s, %s, %t), ", c.name, c.index, c.required)
		}
		counts[k.name] = len(list)
		out.WriteString("{}};\n")
	}
	out.WriteString("extern \"C\" const sm_kernel sm_kernels[] = {\n")
	for _, i := range r.instances {
		fmt.Fprintf(out, "SM_KERNEL(%s, (%s), sm_parameters_%s, sm_constants_%[3]s, %d, %s),\n",
			i.hostName, i.function, i.kernel.name, counts[i.kernel.name], i.kernel.maxThreads)
	}
	out.WriteString("{}};\n")
	fmt.Fprintf(out, "extern \"C\" const uint32_t sm_kernel_count = %d;\n", len(r.instances))
	out.WriteString("extern \"C\" const sm_function_constant sm_function_constants[] = {\n")
	for _, c := range r.constants {
		fmt.Fprintf(out, "{SM_CONSTANT_INFO(%s, %s, %t), (void *)&%[1]s, &sm_defined_%[1]s},\n", c.name, c.index, c.required)
	}
	out.WriteString("{}};\n")
	fmt.Fprintf(out, "extern \"C\" const uint32_t sm_function_constant_count = %d;\n", len(r.constants))
	out.WriteString("#ifdef SM_CHECKED\nextern \"C\" const bool sm_checked = true;\n#else\nextern \"C\" const bool sm_checked = false;\n#endif\n")
}
