package access

import "github.com/latchkey/latchkey/shared/apikey"

// ActorHolder is whoever holds an API key, acting on that key.
const ActorHolder ActorKind = "holder"

// HolderOf returns the caller that an API key's record stands for: it holds no
// scope over the control plane, and may act on its own key alone.
func HolderOf(r *apikey.Record) Caller {
	return Caller{Actor: Actor{Kind: ActorHolder, ID: r.Key.ID, Name: r.Key.Name}}
}
