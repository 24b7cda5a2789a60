using System.Text;
using Qkd.Devices;

namespace Qkd.Drivers.Tests.Support;

/// <summary>Keeps the short texts that passed on a device's wire, so that a test can wait for one.</summary>
public sealed class WireLog : IWireTranscript
{
    private const int Longest = 1000;
    private readonly Lock _gate = new();
    private readonly List<(string Channel, bool Sent, string Text)> _texts = [];

    public void Record(string channel, bool sent, ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            if (data.Length <= Longest)
            {
                _texts.Add((channel, sent, Encoding.Latin1.GetString(data)));
            }
        }
    }

    public int Count(Func<(string Channel, bool Sent, string Text), bool> predicate)
    {
        lock (_gate)
        {
            return _texts.Count(predicate);
        }
    }

    public IReadOnlyList<string> Sent(string channel)
    {
        lock (_gate)
        {
            return [.. _texts.Where(text => text.Sent && text.Channel == channel).Select(text => text.Text)];
        }
    }
}
