package podtest

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/etlbench/etlbench/cluster/pod"
)

// EnvRole makes a test binary one of the programs of the suite: "serve",
// "announce" (it chooses its port itself, and takes the socket), "crash" or "deaf".
const EnvRole = "PODTEST_ROLE"

// EnvHost is the address that the program listens on; "" is all of them.
const EnvHost = "PODTEST_HOST"

// Main plays the role that the environment asks for, and does not come back;
// without one it does nothing. It is called at the beginning of TestMain.
func Main() {
	if role := os.Getenv(EnvRole); role != "" {
		os.Exit(play(role))
	}
}

func play(role string) int {
	fmt.Println("hello from", os.Getenv("NAME"))
	switch role {
	case "crash":
		fmt.Fprintln(os.Stderr, "cannot go on")
		return 3
	case "deaf":
		select {}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Running") })
	mux.HandleFunc("/env/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, os.Getenv(r.PathValue("name")))
	})
	mux.HandleFunc("/die", func(http.ResponseWriter, *http.Request) { os.Exit(4) })
	addr := os.Getenv(EnvHost) + ":" + os.Getenv(pod.EnvPort)
	if role == "announce" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if role == "announce" {
		if socket, err := net.Listen("unix", os.Getenv(pod.EnvSocket)); err == nil {
			go func() { _ = http.Serve(socket, mux) }()
		}
		fmt.Fprintf(os.NewFile(3, "announce"), "http://%s\n", ln.Addr())
	}
	return int(fmt.Sprint(http.Serve(ln, mux))[0])
}
