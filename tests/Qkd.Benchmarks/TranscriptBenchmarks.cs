using System.Security.Cryptography;
using BenchmarkDotNet.Attributes;
using Qkd.Distillation;

namespace Qkd.Benchmarks;

/// <summary>The tag over a block of many messages.</summary>
public class TranscriptBenchmarks
{
    private const int Messages = 1_000;

    private readonly byte[] _pad = RandomNumberGenerator.GetBytes(BlockAuthentication.PadBytes);
    private byte[] _message = [];

    /// <summary>Bytes of each message.</summary>
    [Params(32, 1_024, 1 << 16)]
    public int Bytes { get; set; }

    /// <summary>Draws the message anew.</summary>
    [GlobalSetup]
    public void Draw() => _message = RandomNumberGenerator.GetBytes(Bytes);

    /// <summary>Time a message, logged and tagged with its block.</summary>
    [Benchmark(OperationsPerInvoke = Messages)]
    public int LogAndTag()
    {
        var transcript = new BlockTranscript(1);
        for (var i = 0; i < Messages; i++)
        {
            transcript.Record((TranscriptDirection)(i & 1), (i / 2) + 1, (i + 1) / 2, _message, i);
        }

        return BlockAuthentication.CreateTag(transcript, LinkEnd.Bob, _pad, accept: true).Length;
    }
}
