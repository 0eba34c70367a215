package users_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/users"
)

func TestPasswordsMatchTheirHashAlone(t *testing.T) {
	t.Parallel()
	hash, err := users.HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := users.HashPassword("correct horse")
	if hash == again {
		t.Error("two hashes of one password are the same: there is no salt")
	}
	if !hash.Matches("correct horse") || hash.Matches("correct horsf") || hash.Matches("") {
		t.Error("matches what it must not, or not what it must")
	}
	parsed, err := users.ParsePasswordHash(string(hash))
	if err != nil || !parsed.Matches("correct horse") {
		t.Errorf("a hash does not come back: %v", err)
	}
}

func TestHashesNeverPrint(t *testing.T) {
	t.Parallel()
	hash, _ := users.HashPassword("correct horse")
	b, _ := json.Marshal(users.User{PasswordHash: hash})
	for _, text := range []string{fmt.Sprint(hash), fmt.Sprintf("%+v %#v", hash, users.User{PasswordHash: hash}), string(b)} {
		if strings.Contains(text, "argon2id") {
			t.Errorf("the hash prints: %s", text)
		}
	}
}

func TestWhatIsNoHash(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "plain": "correct horse", "bcrypt": "$2b$12$abcdefghijklmnopqrstuv",
		"another version":  "$argon2id$v=16$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c3Vtc3Vtc3Vtc3Vtc3Vtc3Vt",
		"too costly":       "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0$c3Vtc3Vtc3Vtc3Vtc3Vtc3Vt",
		"too cheap":        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$c3Vtc3Vtc3Vtc3Vtc3Vtc3Vt",
		"short sum":        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c3Vt",
		"not base64":       "$argon2id$v=19$m=19456,t=2,p=1$????$c3Vtc3Vtc3Vtc3Vtc3Vtc3Vt",
		"something behind": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c3Vtc3Vtc3Vtc3Vtc3Vtc3Vt$x",
	} {
		if _, err := users.ParsePasswordHash(text); err == nil {
			t.Errorf("%s is taken for a hash", name)
		}
		if users.PasswordHash(text).Matches("correct horse") {
			t.Errorf("%s matches a password", name)
		}
	}
	for _, password := range []string{"", "short", strings.Repeat("x", 1025)} {
		if _, err := users.HashPassword(password); err == nil {
			t.Errorf("a password of %d bytes is hashed", len(password))
		}
	}
}
