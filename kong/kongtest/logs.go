package kongtest

import (
	"bufio"
	"io"
	"slices"
	"sync"
)

// LogLine is a line of Kong's error log.
type LogLine struct{ Level, Text string }

// mostLines bounds the log that is kept; the oldest lines go first.
const mostLines = 10_000

type logs struct {
	mu    sync.Mutex
	lines []LogLine
}

func (l *logs) add(level, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == mostLines {
		l.lines = append(l.lines[:0], l.lines[mostLines/2:]...)
	}
	l.lines = append(l.lines, LogLine{level, text})
}

func (l *logs) all() []LogLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// read takes a process's output, which Kong logs at info.
func (l *logs) read(r io.Reader) {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadString('\n')
		if line != "" {
			l.add("info", line[:len(line)-len(trailing(line))])
		}
		if err != nil {
			return
		}
	}
}

func trailing(line string) string {
	if line[len(line)-1] == '\n' {
		return "\n"
	}
	return ""
}
