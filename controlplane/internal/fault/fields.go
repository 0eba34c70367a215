package fault

import "fmt"

// Fields collects wrong values, so that a caller hears of all of them at once.
// The zero value is ready.
type Fields struct{ list []Field }

// Add notes that the value at location is wrong.
func (f *Fields) Add(location, format string, args ...any) {
	f.list = append(f.list, Field{Location: location, Message: fmt.Sprintf(format, args...), said: Sentence{format, args}})
}

// Check notes the value at location as wrong unless ok.
func (f *Fields) Check(ok bool, location, format string, args ...any) {
	if !ok {
		f.Add(location, format, args...)
	}
}

// Err returns an Invalid fault that names every noted value, or nil.
func (f *Fields) Err() error {
	if len(f.list) == 0 {
		return nil
	}
	e := New(Invalid, "%d value is not acceptable", len(f.list))
	if len(f.list) > 1 {
		e = New(Invalid, "%d values are not acceptable", len(f.list))
	}
	e.Fields = f.list
	return e
}
