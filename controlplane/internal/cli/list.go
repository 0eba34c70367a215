package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// pageSize is the most that a store hands out at once.
const pageSize = 200

// pages reads a whole list, page after page, and hands over each thing in it.
// next reads what comes after the last thing seen.
func pages[D any](next func(last *D) ([]D, error), each func(D) error) error {
	for last := (*D)(nil); ; {
		page, err := next(last)
		if err != nil {
			return err
		}
		for _, d := range page {
			if err := each(d); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		last = &page[len(page)-1]
	}
}

// list writes things as they are read, for there may be millions: as a table, or
// as one page of the API that has them all.
type list struct {
	w      *sticky
	json   bool
	format string // of a row
	n      int
}

// newList begins a list. format writes a row of the table.
func (s *session) newList(format string, columns ...any) *list {
	l := &list{w: &sticky{w: s.env.Stdout}, json: s.json, format: format + "\n"}
	if !s.json {
		l.row(columns...)
	}
	return l
}

func (l *list) row(columns ...any) {
	_, _ = io.WriteString(l.w, strings.TrimRight(fmt.Sprintf(l.format, columns...), " \n")+"\n")
}

// add writes one thing: its view, or the columns of its row.
func (l *list) add(view any, columns ...any) error {
	l.n++
	if !l.json {
		l.row(columns...)
		return l.w.err
	}
	separator := ",\n    "
	if l.n == 1 {
		separator = "{\n  \"data\": [\n    "
	}
	b, err := json.MarshalIndent(view, "    ", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(l.w, separator+string(b))
	return err
}

// end completes what was begun; after an error a program must not find a list
// that looks whole.
func (l *list) end(err error, none string) error {
	switch {
	case err != nil && l.json && l.n > 0:
		_, writeErr := io.WriteString(l.w, "\n")
		return errors.Join(err, writeErr)
	case err != nil:
		return err
	case l.json && l.n == 0:
		_, err = io.WriteString(l.w, "{\n  \"data\": [],\n  \"next_cursor\": null\n}\n")
	case l.json:
		_, err = io.WriteString(l.w, "\n  ],\n  \"next_cursor\": null\n}\n")
	case l.n == 0:
		_, err = io.WriteString(l.w, none+"\n")
	default:
		err = l.w.err
	}
	return err
}
