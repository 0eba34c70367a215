package fault

import (
	"errors"
	"strings"
)

// Take adds the wrong values of an Invalid fault to the fields. It reports
// false, and adds nothing, for every other error.
func (f *Fields) Take(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Invalid || len(e.Fields) == 0 {
		return false
	}
	f.list = append(f.list, e.Fields...)
	return true
}

// Within returns a fault whose locations under from are under to: what was wrong
// with one of many values is told where that one stands. A fault without
// locations gets to itself; an error that is no fault stays as it is.
func Within(err error, from, to string) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	copied := *e
	copied.Fields = make([]Field, 0, len(e.Fields)+1)
	for _, field := range e.Fields {
		if rest, under := strings.CutPrefix(field.Location, from+"."); under {
			field.Location = to + "." + rest
		}
		copied.Fields = append(copied.Fields, field)
	}
	if len(copied.Fields) == 0 {
		copied.Fields = append(copied.Fields, Field{Location: to, Message: e.Message, said: e.said})
	}
	return &copied
}
