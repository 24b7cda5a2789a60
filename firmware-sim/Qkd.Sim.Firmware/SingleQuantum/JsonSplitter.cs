using System.Runtime.InteropServices;

namespace Qkd.Sim.Firmware.SingleQuantum;

/// <summary>
/// Cuts a stream of bare JSON objects, which nothing separates, into objects by counting braces outside strings. Keeps an unfinished
/// object between calls; what stands between objects is dropped.
/// </summary>
internal sealed class JsonSplitter
{
    private const int LongestObject = 65536;

    private readonly List<byte> _pending = [];
    private int _depth;
    private bool _inString;
    private bool _escaped;

    /// <summary>Takes received bytes and gives each object that they complete to the receiver. False if one grew too long and was dropped.</summary>
    public bool Append(ReadOnlySpan<byte> bytes, Action<ReadOnlyMemory<byte>> received)
    {
        var sound = true;
        foreach (var value in bytes)
        {
            if (_depth == 0 && value != '{')
            {
                continue;
            }

            _pending.Add(value);
            Follow(value);
            if (_depth == 0)
            {
                received(CollectionsMarshal.AsSpan(_pending).ToArray());
                _pending.Clear();
            }
            else if (_pending.Count >= LongestObject)
            {
                sound = false;
                _pending.Clear();
                (_depth, _inString, _escaped) = (0, false, false);
            }
        }

        return sound;
    }

    private void Follow(byte value)
    {
        if (_inString)
        {
            _inString = _escaped || value != '"';
            _escaped = !_escaped && value == '\\';
            return;
        }

        _inString = value == '"';
        _depth += value switch { (byte)'{' => 1, (byte)'}' => -1, _ => 0 };
    }
}
