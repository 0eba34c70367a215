package journal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

// Checkpoint stands for the rows that were pruned: the chain goes on from its
// number and MAC.
type Checkpoint struct {
	Number int64
	MAC    []byte // of the last row that was removed
	At     time.Time
	Actor  access.Actor
}

// SealedCheckpoint is a checkpoint as it is stored. Its zero value is none.
type SealedCheckpoint struct {
	Text string
	Seal []byte
}

// Checkpoints seals checkpoints: HMAC-SHA-256 (RFC 2104) of the exact text.
// Without it, whoever can write to the database could remove the oldest rows and
// say that they were pruned. Safe for concurrent use.
type Checkpoints struct{ key []byte }

// NewCheckpoints returns the seal under a key, derived from SECRET_KEY, that is
// used for nothing else: rows of the chain are sealed under another.
func NewCheckpoints(key [32]byte) *Checkpoints { return &Checkpoints{key: key[:]} }

type checkpointText struct {
	Number int64        `json:"number"`
	MAC    string       `json:"mac"`
	At     time.Time    `json:"at"`
	Actor  access.Actor `json:"actor"`
}

// Seal makes what is stored.
func (c *Checkpoints) Seal(p Checkpoint) (SealedCheckpoint, error) {
	b, err := json.Marshal(checkpointText{Number: p.Number, MAC: hex.EncodeToString(p.MAC), At: p.At.UTC(), Actor: p.Actor})
	if err != nil {
		return SealedCheckpoint{}, fmt.Errorf("journal: write a checkpoint: %w", err)
	}
	return SealedCheckpoint{Text: string(b), Seal: c.seal(string(b))}, nil
}

// Open returns a stored checkpoint, nil where there is none. ok is false where
// it was not sealed here.
func (c *Checkpoints) Open(s SealedCheckpoint) (p *Checkpoint, ok bool) {
	if s.Text == "" && len(s.Seal) == 0 {
		return nil, true
	}
	if !hmac.Equal(s.Seal, c.seal(s.Text)) {
		return nil, false
	}
	var t checkpointText
	if err := json.Unmarshal([]byte(s.Text), &t); err != nil {
		return nil, false
	}
	mac, err := hex.DecodeString(t.MAC)
	return &Checkpoint{Number: t.Number, MAC: mac, At: t.At, Actor: t.Actor}, err == nil
}

func (c *Checkpoints) seal(text string) []byte {
	h := hmac.New(sha256.New, c.key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// String writes a head as it is logged and shown, N:HASH.
func (h Head) String() string { return fmt.Sprintf("%d:%x", h.Number, h.MAC) }

// ParseHead reads what String writes: the end of the log as somebody saw it.
func ParseHead(text string) (h Head, err error) {
	var hash string
	if n, err := fmt.Sscanf(text, "%d:%64s", &h.Number, &hash); err == nil && n == 2 && h.Number > 0 {
		if h.MAC, err = hex.DecodeString(hash); err == nil && len(h.MAC) == sha256.Size && h.String() == text {
			return h, nil
		}
	}
	return Head{}, fault.New(fault.Invalid, "a head is a number and 64 hexadecimal digits, such as 17:9f86…").
		WithFix("copy number and hash of a line \"audit head\" of the server's log")
}
