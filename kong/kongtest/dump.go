package kongtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// Dump is what Kong reads from the binary's -dump.
type Dump struct {
	Protocol   string
	SocketPath string
	Plugins    []struct {
		Name     string
		Phases   []string
		Version  string
		Priority int
		Schema   map[string]any
	}
	Raw []byte `json:"-"` // as printed
}

// ParseDump reads -dump's output as Kong does: one JSON value and nothing else,
// for exactly one plugin that speaks ProtoBuf:1.
func ParseDump(raw []byte) (Dump, error) {
	d := Dump{Raw: raw}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&d); err != nil {
		return d, fmt.Errorf("failed decoding plugin info: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return d, fmt.Errorf("failed decoding plugin info: more than one value")
	}
	if d.Protocol != "ProtoBuf:1" || len(d.Plugins) != 1 {
		return d, fmt.Errorf("%d plugins over %q, want one over ProtoBuf:1", len(d.Plugins), d.Protocol)
	}
	if !slices.Contains(d.Plugins[0].Phases, "access") {
		return d, fmt.Errorf("no access phase in %v", d.Plugins[0].Phases)
	}
	return d, nil
}

// Check says why Kong would refuse a configuration, which is anything that
// marshals to a JSON object.
func (d Dump) Check(config any) error {
	_, err := d.normal(config)
	return err
}

// normal checks a configuration against the schema and returns the fields that
// the plugin will see: null is absent.
func (d Dump) normal(config any) (map[string]any, error) {
	b, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	err = check("config", d.configSchema(), fields) // a field that is unknown is refused with null, too
	stripNulls(fields)
	return fields, err
}

func (d Dump) configSchema() map[string]any {
	top, _ := d.Plugins[0].Schema["fields"].([]any)
	for _, f := range top {
		if m, ok := f.(map[string]any); ok && m["config"] != nil {
			schema, _ := m["config"].(map[string]any)
			return schema
		}
	}
	return nil
}

func stripNulls(m map[string]any) {
	for name, v := range m {
		switch v := v.(type) {
		case nil:
			delete(m, name)
		case map[string]any:
			stripNulls(v)
		case []any:
			for _, e := range v {
				if sub, ok := e.(map[string]any); ok {
					stripNulls(sub)
				}
			}
		}
	}
}

// check is kong/db/schema for the types that go-pdk can say. An empty list and
// an empty object are one and the same empty table.
func check(at string, schema map[string]any, v any) error {
	if items, isArray := v.([]any); isArray && len(items) == 0 && (schema["type"] == "map" || schema["type"] == "record") {
		return nil
	}
	if fields, isMap := v.(map[string]any); isMap && len(fields) == 0 && schema["type"] == "array" {
		return nil
	}
	ok := false
	switch schema["type"] {
	case "string":
		text, isString := v.(string)
		if isString && text == "" {
			return fmt.Errorf("%s: length must be at least 1", at) // len_min, where a schema says nothing
		}
		ok = isString
	case "boolean":
		_, ok = v.(bool)
	case "number":
		_, ok = v.(float64)
	case "integer":
		n, isNumber := v.(float64)
		ok = isNumber && n == math.Trunc(n)
		if between, _ := schema["between"].([]any); len(between) == 2 {
			ok = ok && n >= between[0].(float64) && n <= between[1].(float64)
		}
	case "array":
		items, isArray := v.([]any)
		elements, _ := schema["elements"].(map[string]any)
		for i, item := range items {
			if err := check(fmt.Sprintf("%s[%d]", at, i), elements, item); err != nil {
				return err
			}
		}
		ok = isArray
	case "map":
		values, _ := schema["values"].(map[string]any)
		m, isMap := v.(map[string]any)
		for name, item := range m {
			if item == nil {
				continue
			}
			if err := check(at+"."+name, values, item); err != nil {
				return err
			}
		}
		ok = isMap
	case "record":
		m, isRecord := v.(map[string]any)
		for name, item := range m {
			field := fieldOf(schema, name)
			if field == nil {
				return fmt.Errorf("%s.%s: unknown field", at, name)
			}
			if item == nil {
				continue
			}
			if err := check(at+"."+name, field, item); err != nil {
				return err
			}
		}
		ok = isRecord
	}
	if !ok {
		return fmt.Errorf("%s: expected %v", at, schema["type"])
	}
	return nil
}

func fieldOf(record map[string]any, name string) map[string]any {
	list, _ := record["fields"].([]any)
	for _, f := range list {
		m, _ := f.(map[string]any)
		if field, ok := m[name].(map[string]any); ok {
			return field
		}
	}
	return nil
}
