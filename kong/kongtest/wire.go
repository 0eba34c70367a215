package kongtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sort"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages are read and written by field number, as Kong's lua-protobuf
// does: strings are bytes, and need not be UTF-8.

// A Lua value on the wire is a string, bool, float64, nil, list or table.
type (
	list  []any
	table map[string]any
)

var errProtobuf = errors.New("malformed message")

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		b = protowire.AppendTag(b, 1, protowire.VarintType)
		return protowire.AppendVarint(b, 0)
	case float64:
		b = protowire.AppendTag(b, 2, protowire.Fixed64Type)
		return protowire.AppendFixed64(b, math.Float64bits(v))
	case string:
		b = protowire.AppendTag(b, 3, protowire.BytesType)
		return protowire.AppendString(b, v)
	case bool:
		b = protowire.AppendTag(b, 4, protowire.VarintType)
		return protowire.AppendVarint(b, protowire.EncodeBool(v))
	case table:
		b = protowire.AppendTag(b, 5, protowire.BytesType)
		return protowire.AppendBytes(b, appendStruct(nil, v))
	case list:
		var items []byte
		for _, e := range v {
			items = protowire.AppendTag(items, 1, protowire.BytesType)
			items = protowire.AppendBytes(items, appendValue(nil, e))
		}
		b = protowire.AppendTag(b, 6, protowire.BytesType)
		return protowire.AppendBytes(b, items)
	}
	panic(fmt.Sprintf("kongtest: %T is not a Lua value", v))
}

func appendStruct(b []byte, t table) []byte {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		entry := appendString(nil, 1, name)
		entry = protowire.AppendTag(entry, 2, protowire.BytesType)
		entry = protowire.AppendBytes(entry, appendValue(nil, t[name]))
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendBytes(b, entry)
	}
	return b
}

func appendString(b []byte, num protowire.Number, s string) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendString(b, s)
}

// fields calls visit with every field; n holds varints and fixed numbers.
func fields(b []byte, visit func(num protowire.Number, data []byte, n uint64) error) error {
	for len(b) > 0 {
		num, typ, used := protowire.ConsumeTag(b)
		if used < 0 {
			return errProtobuf
		}
		b = b[used:]
		var data []byte
		var n uint64
		switch typ {
		case protowire.BytesType:
			data, used = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			n, used = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			n, used = protowire.ConsumeFixed64(b)
		default:
			used = -1
		}
		if used < 0 {
			return errProtobuf
		}
		b = b[used:]
		if err := visit(num, data, n); err != nil {
			return err
		}
	}
	return nil
}

// wrapped reads {v = 1}: String, ByteString, Int.
func wrapped(b []byte) (s string, n uint64, err error) {
	err = fields(b, func(num protowire.Number, data []byte, v uint64) error {
		if num == 1 {
			s, n = string(data), v
		}
		return nil
	})
	return s, n, err
}

func decodeValue(b []byte) (v any, err error) {
	err = fields(b, func(num protowire.Number, data []byte, n uint64) (err error) {
		switch num {
		case 1:
			v = nil
		case 2:
			v = math.Float64frombits(n)
		case 3:
			v = string(data)
		case 4:
			v = n != 0
		case 5:
			v, err = decodeStruct(data)
		case 6:
			v, err = decodeList(data)
		}
		return err
	})
	return v, err
}

func decodeList(b []byte) (l list, err error) {
	l = list{}
	err = fields(b, func(num protowire.Number, data []byte, _ uint64) error {
		v, err := decodeValue(data)
		l = append(l, v)
		return err
	})
	return l, err
}

func decodeStruct(b []byte) (t table, err error) {
	t = table{}
	err = fields(b, func(num protowire.Number, entry []byte, _ uint64) error {
		name, value, err := decodeKV(entry)
		t[name] = value
		return err
	})
	return t, err
}

// decodeKV reads a map entry or Kong's KV message: {k = 1, v = 2}.
func decodeKV(b []byte) (name string, value any, err error) {
	err = fields(b, func(num protowire.Number, data []byte, _ uint64) (err error) {
		switch num {
		case 1:
			name = string(data)
		case 2:
			value, err = decodeValue(data)
		}
		return err
	})
	return name, value, err
}

// writeFrame makes two writes, as pb_rpc.lua does.
func writeFrame(c net.Conn, head *[4]byte, msg []byte) error {
	binary.LittleEndian.PutUint32(head[:], uint32(len(msg)))
	if _, err := c.Write(head[:]); err != nil {
		return err
	}
	if len(msg) == 0 {
		return nil
	}
	_, err := c.Write(msg)
	return err
}

// readFrame reads into buf, which it may grow.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	buf = append(buf[:0], 0, 0, 0, 0)
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(buf)
	if n > 64<<20 {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	if int(n) > cap(buf) {
		buf = make([]byte, n)
	}
	_, err := io.ReadFull(r, buf[:n])
	return buf[:n], err
}
