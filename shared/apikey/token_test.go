package apikey

import (
	"testing"
)

const (
	vector            = "lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR"
	vectorFingerprint = "57cf1e225a9428c8af985c5dc0dc2092ed90e05e871b99197c67ccc71a9a5d9a"
)

func TestVectorOfTheFormat(t *testing.T) {
	t.Parallel()
	token, ok := Prefixes{"lk"}.Parse(vector)
	if !ok {
		t.Fatal("the documented vector does not parse")
	}
	if token.Kind != KindAPI || token.Environment != Live || token.Fingerprint.String() != vectorFingerprint {
		t.Errorf("got %v %v %v", token.Kind, token.Environment, token.Fingerprint)
	}
}
