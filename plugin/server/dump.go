package server

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// info is what Kong reads from -dump when it starts: pure JSON, one plugin, the
// field names of go-pdk.
type info struct {
	Protocol   string
	SocketPath string
	Plugins    []pluginInfo
}

type pluginInfo struct {
	Name     string
	Phases   []string
	Version  string
	Priority int
	Schema   any
}

type dict = map[string]any

// dump writes the description of p. It fails on a configuration struct that the
// schema cannot say, where go-pdk drops the field without a word.
func dump(w io.Writer, p Plugin, name, socket string) error {
	schema, err := schemaOf(reflect.TypeOf(p.Config))
	if err != nil {
		return fmt.Errorf("configuration schema: %w", err)
	}
	return json.NewEncoder(w).Encode(info{
		Protocol:   "ProtoBuf:1",
		SocketPath: socket,
		Plugins: []pluginInfo{{
			Name:     name,
			Phases:   []string{"access"},
			Version:  p.Version,
			Priority: p.Priority,
			Schema:   dict{"name": name, "fields": []dict{{"config": schema}}},
		}},
	})
}

// schemaOf is go-pdk's reflection: the same words for the same kinds.
func schemaOf(t reflect.Type) (dict, error) {
	if t == nil {
		return nil, fmt.Errorf("no configuration type")
	}
	switch t.Kind() {
	case reflect.String:
		return dict{"type": "string"}, nil
	case reflect.Bool:
		return dict{"type": "boolean"}, nil
	case reflect.Int, reflect.Int32:
		return dict{"type": "integer"}, nil
	case reflect.Uint, reflect.Uint32:
		return dict{"type": "integer", "between": []int{0, 2147483648}}, nil
	case reflect.Float32, reflect.Float64:
		return dict{"type": "number"}, nil
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Slice:
		elem, err := schemaOf(t.Elem())
		return dict{"type": "array", "elements": elem}, err
	case reflect.Map:
		key, err := schemaOf(t.Key())
		if err != nil {
			return nil, err
		}
		value, err := schemaOf(t.Elem())
		return dict{"type": "map", "keys": key, "values": value}, err
	case reflect.Struct:
		return recordOf(t)
	}
	return nil, fmt.Errorf("a %s has no place in Kong's schema", t)
}

func recordOf(t reflect.Type) (dict, error) {
	fields := []dict{}
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		schema, err := schemaOf(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		name := f.Tag.Get("json")
		if strings.Contains(name, ",") {
			return nil, fmt.Errorf("%s: options in the json tag become part of the field's name", f.Name)
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		fields = append(fields, dict{name: schema})
	}
	return dict{"type": "record", "fields": fields}, nil
}
