using System.Text;
using Qkd.Devices;

namespace Qkd.Transports.Tests;

internal sealed class RecordedTranscript : IWireTranscript
{
    private readonly List<string> _lines = [];

    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_lines)
            {
                return [.. _lines];
            }
        }
    }

    public void Record(string channel, bool sent, ReadOnlySpan<byte> data)
    {
        lock (_lines)
        {
            _lines.Add($"{channel} {(sent ? '>' : '<')} {Encoding.Latin1.GetString(data)}");
        }
    }
}
