package main

import (
	"io"
	"net/http"
	"os"
)

// echo is the transformer: what comes goes back, as it comes.
func echo(w http.ResponseWriter, r *http.Request) {
	head(w, r.ContentLength)
	_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/1 can
	_, _ = io.Copy(w, r.Body)
}

// most connections that lie idle between requests: as many as there are clients.
const mostIdle = 1024

// newRelay is the straightforward target: it puts an object to its pod, and
// what comes back goes to the client. Connections to the pod are kept.
func newRelay(files store) (http.Handler, error) {
	pod, err := start("pod", files.dir)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: mostIdle, MaxIdleConnsPerHost: mostIdle, DisableCompression: true}}
	return files.handler(func(w http.ResponseWriter, r *http.Request) {
		files.with(w, r, func(f *os.File, size int64) { relay(w, r, client, pod.URL+r.URL.Path, f, size) })
	}), nil
}

func relay(w http.ResponseWriter, r *http.Request, client *http.Client, url string, f *os.File, size int64) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPut, url, f)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	req.ContentLength = size
	resp, err := client.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	head(w, resp.ContentLength)
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}
