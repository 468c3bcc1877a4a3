package store_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/store"
)

var benchSizes = []struct {
	name  string
	bytes int
}{{"4KiB", 4 << 10}, {"1MiB", 1 << 20}}

func BenchmarkPut(b *testing.B) {
	for _, level := range []store.Sync{store.SyncNone, store.SyncData, store.SyncFull} {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("size=%s/sync=%s", size.name, level), func(b *testing.B) {
				s := open(b, store.Config{Sync: level})
				data := body(1, size.bytes)
				b.SetBytes(int64(size.bytes))
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					// A thousand names: mostly overwrites, in a disk's bounds.
					name := fmt.Sprintf("d/%d", i%1000)
					_, err := s.Put(context.Background(), bucket, name, bytes.NewReader(data), store.PutOptions{Size: int64(size.bytes)})
					require.NoError(b, err)
				}
			})
		}
	}
}

// The level makes no difference to readers; see Put for what it costs.
func BenchmarkGet(b *testing.B) {
	for _, level := range []store.Sync{store.SyncNone, store.SyncData, store.SyncFull} {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("size=%s/sync=%s", size.name, level), func(b *testing.B) {
				s := open(b, store.Config{Sync: level})
				put(b, s, "d/o", string(body(1, size.bytes)))
				b.SetBytes(int64(size.bytes))
				b.ReportAllocs()
				buf := make([]byte, size.bytes)
				for b.Loop() {
					o, err := s.Open(bucket, "d/o")
					require.NoError(b, err)
					_, err = o.ReadAt(buf, 0)
					require.NoError(b, err)
					require.NoError(b, o.Close())
				}
			})
		}
	}
}

func BenchmarkList(b *testing.B) {
	const objects = 100_000
	s := open(b, store.Config{Sync: store.SyncNone})
	for i := range objects {
		_, err := s.Put(context.Background(), bucket, fmt.Sprintf("d%d/%d", i%10, i), strings.NewReader(""), store.PutOptions{SkipVersion: true})
		require.NoError(b, err)
	}
	for _, o := range []store.ListOptions{{}, {Limit: 1000}, {Detail: true}, {Detail: true, Limit: 1000}} {
		b.Run(fmt.Sprintf("objects=%d/detail=%t/page=%d", objects, o.Detail, o.Limit), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o, n := o, 0
				for more := true; more; {
					var infos []store.Info
					var err error
					infos, more, err = s.List(bucket, o)
					require.NoError(b, err)
					n += len(infos)
					o.After = infos[len(infos)-1].Name
				}
				require.Equal(b, objects, n)
			}
		})
	}
}
