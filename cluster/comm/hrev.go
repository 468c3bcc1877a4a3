package comm

// dialHrev relays inline GETs to the pod, where hpull redirects the client.
func dialHrev(base string, o Options) Link {
	return &puller{base: base, c: newClient(base, o), rev: true}
}

func init() {
	// The pod serves the same GET as for hpull.
	Register(Type{Name: "hrev://", Dial: dialHrev})
}
