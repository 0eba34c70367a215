package cli

import "testing"

// A driver says what it tried on lines of their own, the same twice where it
// tried the same twice; an operator reads one line.
func TestFailuresAreOneLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"connect to x:\n\ta: refused\n\ta: refused\n\tb: refused": "connect to x: a: refused; b: refused",
		"one\ntwo\n": "one; two",
		"one":        "one",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
