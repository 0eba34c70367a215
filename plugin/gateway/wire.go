package gateway

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// The field numbers of google.protobuf.Struct and of Kong's own messages. They
// are written here by hand because the generated code refuses strings that are
// not UTF-8, and such strings come from clients.
const (
	structFields protowire.Number = 1 // Struct: map<string, Value>
	entryKey     protowire.Number = 1
	entryValue   protowire.Number = 2
	valueString  protowire.Number = 3 // Value
	valueList    protowire.Number = 6
	listValues   protowire.Number = 1 // ListValue
	wrapped      protowire.Number = 1 // String, Int, ByteString: {v = 1}
	exitStatus   protowire.Number = 1 // ExitArgs
	exitBody     protowire.Number = 2
	exitHeaders  protowire.Number = 3
)

var errMalformed = errors.New("malformed protocol message from Kong")

// Header is one header to set. An empty Value clears the header instead (Kong
// takes an empty list for that); a name may stand in a batch once. Kong escapes
// control characters in names and values.
type Header struct{ Name, Value string }

func appendHeaders(b []byte, headers []Header) []byte {
	for _, h := range headers {
		b = protowire.AppendTag(b, structFields, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(h.entrySize()))
		b = appendBytes(b, entryKey, h.Name)
		b = protowire.AppendTag(b, entryValue, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(1+protowire.SizeBytes(h.listSize())))
		b = protowire.AppendTag(b, valueList, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(h.listSize()))
		if h.Value != "" {
			b = protowire.AppendTag(b, listValues, protowire.BytesType)
			b = protowire.AppendVarint(b, uint64(1+protowire.SizeBytes(len(h.Value))))
			b = appendBytes(b, valueString, h.Value)
		}
	}
	return b
}

// The sizes below count one byte for every tag: all field numbers are below 16.

func headersSize(headers []Header) (n int) {
	for _, h := range headers {
		n += 1 + protowire.SizeBytes(h.entrySize())
	}
	return n
}

func (h Header) entrySize() int {
	value := 1 + protowire.SizeBytes(h.listSize())
	return 1 + protowire.SizeBytes(len(h.Name)) + 1 + protowire.SizeBytes(value)
}

func (h Header) listSize() int {
	if h.Value == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(1+protowire.SizeBytes(len(h.Value)))
}

func appendBytes(b []byte, num protowire.Number, s string) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendString(b, s)
}

// appendOptional leaves an empty string out, as proto3 does.
func appendOptional(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return appendBytes(b, num, s)
}

// eachField calls visit for every length-delimited or varint field of b.
func eachField(b []byte, visit func(num protowire.Number, data []byte, v uint64) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errMalformed
		}
		b = b[n:]
		var data []byte
		var v uint64
		switch typ {
		case protowire.BytesType:
			data, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return errMalformed
		}
		b = b[n:]
		if err := visit(num, data, v); err != nil {
			return err
		}
	}
	return nil
}

// decodeString reads Kong's String message; an absent field is "".
func decodeString(b []byte) (s string, err error) {
	err = eachField(b, func(num protowire.Number, data []byte, _ uint64) error {
		if num == wrapped {
			s = string(data)
		}
		return nil
	})
	return s, err
}

// eachValue visits what is in a Struct of strings and lists of them, and counts
// it. What has no value counts too: Kong may leave an empty string out.
func eachValue(b []byte, visit func(name, value []byte)) (total int, err error) {
	err = eachField(b, func(num protowire.Number, entry []byte, _ uint64) error {
		if num != structFields {
			return nil
		}
		var name, value []byte
		err := eachField(entry, func(num protowire.Number, data []byte, _ uint64) error {
			switch num {
			case entryKey:
				name = data
			case entryValue:
				value = data
			}
			return nil
		})
		if err != nil {
			return err
		}
		n, err := eachItem(value, func(item []byte) { visit(name, item) })
		total += n
		return err
	})
	return total, err
}

// eachItem visits the string that a Value holds, or those of its list, which may
// not hold another one.
func eachItem(b []byte, visit func(item []byte)) (n int, err error) {
	one, list, err := splitValue(b)
	if list == nil || err != nil {
		visit(one)
		return 1, err
	}
	err = eachField(list, func(num protowire.Number, data []byte, _ uint64) error {
		if num != listValues {
			return nil
		}
		item, nested, err := splitValue(data)
		if nested != nil {
			return errMalformed
		}
		n++
		visit(item)
		return err
	})
	if n == 0 {
		visit(nil)
		n++
	}
	return n, err
}

// splitValue returns a Value's string, nil where it has none, or its list.
func splitValue(b []byte) (one, list []byte, err error) {
	err = eachField(b, func(num protowire.Number, data []byte, _ uint64) error {
		switch num {
		case valueString:
			one = data
		case valueList:
			list = data
		}
		return nil
	})
	return one, list, err
}
