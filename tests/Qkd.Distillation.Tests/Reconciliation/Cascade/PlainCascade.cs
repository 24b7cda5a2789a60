using System.Buffers.Binary;
using Shouldly;

namespace Qkd.Distillation.Tests.Reconciliation;

/// <summary>
/// Cascade as one would explain it: every parity a sum over an explicit order of the bits, and what Bob knows a table of the parities that
/// Alice told or that follow from those. It holds both ends and makes their messages in turn.
/// </summary>
internal sealed class PlainCascade
{
    private readonly CascadeBlockSizes _sizes;
    private readonly Frame[] _frames;
    private readonly int _length;

    public PlainCascade(ulong[] alice, ulong[] bob, int length, double expectedErrorRate)
    {
        _length = length;
        _sizes = CascadeBlockSizes.For(expectedErrorRate);
        var count = (length + 65535) / 65536;
        _frames = new Frame[count];
        for (var i = 0; i < count; i++)
        {
            var (start, end) = ((int)((long)length * i / count), (int)((long)length * (i + 1) / count));
            _frames[i] = new(Bits(alice, start, end), Bits(bob, start, end), (length + count - 1) / count, _sizes);
        }
    }

    /// <summary>Parities that Alice told.</summary>
    public int Told { get; private set; }

    /// <summary>Bob's bits as they are now.</summary>
    public ulong[] Corrected
    {
        get
        {
            var words = new ulong[BitString.WordCount(_length)];
            var i = 0;
            foreach (var bit in _frames.SelectMany(frame => frame.Bob))
            {
                words[i >> 6] |= (ulong)bit << i;
                i++;
            }

            return words;
        }
    }

    /// <summary>The messages, Alice's first.</summary>
    public IEnumerable<byte[]> Messages()
    {
        var header = new byte[7];
        BinaryPrimitives.WriteInt32LittleEndian(header, _length);
        (header[4], header[5], header[6]) = ((byte)_sizes.First, (byte)_sizes.Second, (byte)_sizes.Third);
        var bits = new List<int>();
        foreach (var frame in _frames)
        {
            frame.Tell(bits);
        }

        yield return [.. header, .. Packed(bits)];
        Told += bits.Count;
        for (var finished = false; !finished;)
        {
            bits.Clear();
            foreach (var frame in _frames.Where(frame => !frame.Finished))
            {
                frame.Ask(bits);
            }

            yield return Packed(bits);
            bits.Clear();
            finished = true;
            foreach (var frame in _frames.Where(frame => !frame.Finished))
            {
                frame.Answer(bits);
                finished = false;
            }

            yield return Packed(bits);
            Told += bits.Count;
        }
    }

    private static byte[] Packed(List<int> bits)
    {
        var bytes = new byte[(bits.Count + 63) / 64 * 8];
        for (var i = 0; i < bits.Count; i++)
        {
            bytes[i / 8] |= (byte)(bits[i] << (i % 8));
        }

        return bytes;
    }

    private static int[] Bits(ulong[] words, int start, int end) =>
        [.. Enumerable.Range(start, end - start).Select(i => (int)(words[i >> 6] >> i & 1))];

    /// <summary>A block: places index * 2^size and on, so many as 2^size, in the order of a pass.</summary>
    private readonly record struct Block(int Pass, int Size, int Index)
    {
        public Block Half(int which) => new(Pass, Size - 1, (2 * Index) + which);
    }

    private sealed class Frame
    {
        private const int Passes = 23;
        private readonly int[] _alice;
        private readonly int[][] _bitAt;
        private readonly int[] _tops;
        private readonly int _exponent;
        private readonly Dictionary<Block, int> _known = [];
        private readonly List<Block> _searched = [];
        private int _begun;
        private bool _tell;

        public Frame(int[] alice, int[] bob, int longest, CascadeBlockSizes sizes)
        {
            (_alice, Bob) = (alice, bob);
            _exponent = 6;
            while (1 << _exponent < longest)
            {
                _exponent++;
            }

            _tops = [.. Enumerable.Range(0, Passes).Select(pass => Math.Min(_exponent - 1, pass switch
            {
                0 => sizes.First,
                1 => sizes.Second,
                2 => sizes.Third,
                _ => 99,
            }))];
            _bitAt = [.. Enumerable.Range(0, Passes).Select(pass => Enumerable.Range(0, 1 << _exponent)
                .Select(place => pass == 0 ? place : CascadeOrder.Of(_exponent).BitAt(pass, place)).ToArray())];
        }

        public int[] Bob { get; }

        public bool Finished { get; private set; }

        /// <summary>Alice tells the parities of the passes to come.</summary>
        public void Tell(List<int> message)
        {
            var end = _begun < 3 ? _begun + 1 : Passes;
            for (; _begun < end; _begun++)
            {
                var blocks = Tops(_begun).ToArray();
                var told = _begun == 0 ? (_alice.Length + (1 << _tops[0]) - 1) >> _tops[0] : blocks.Length - 1;
                foreach (var block in blocks[..told])
                {
                    message.Add(_known[block] = Parity(_alice, block));
                }

                // Beyond the end of the frame there is nothing; in other passes the sum over all blocks is known from the first.
                foreach (var block in blocks[told..])
                {
                    _known[block] = _begun == 0 ? 0 : Tops(0).Concat(blocks[..told]).Sum(known => _known[known]) & 1;
                }
            }
        }

        /// <summary>Bob takes what was told, corrects, and asks on.</summary>
        public void Ask(List<int> message)
        {
            var asked = _searched.ToArray();
            _searched.Clear();
            foreach (var block in asked)
            {
                var half = block.Half(Differs(block.Half(0)) ? 0 : 1);
                if (half.Size == 0)
                {
                    Correct(half);
                    continue;
                }

                message.Add(half.Index & 1);
                _searched.Add(half);
            }

            while (_searched.Count == 0)
            {
                var pass = Enumerable.Range(0, _begun).FirstOrDefault(pass => Tops(pass).Any(Differs), -1);
                if (pass < 0)
                {
                    (_tell, Finished) = (_begun < Passes, _begun == Passes);
                    Append(message, _tell ? 30 : 31, 5);
                    return;
                }

                Start(pass, message);
            }
        }

        /// <summary>Alice answers.</summary>
        public void Answer(List<int> message)
        {
            if (_tell)
            {
                _tell = false;
                Tell(message);
            }

            foreach (var block in _searched)
            {
                _known.ShouldNotContainKey(block.Half(0));
                _known.ShouldNotContainKey(block.Half(1));
                message.Add(_known[block.Half(0)] = Parity(_alice, block.Half(0)));
                _known[block.Half(1)] = _known[block] ^ _known[block.Half(0)];
            }
        }

        private IEnumerable<Block> Tops(int pass) => Enumerable.Range(0, 1 << (_exponent - _tops[pass])).Select(index => new Block(pass, _tops[pass], index));

        private bool Differs(Block block) => _known[block] != Parity(Bob, block);

        private int Parity(int[] bits, Block block)
        {
            var parity = 0;
            for (var place = block.Index << block.Size; place < (block.Index + 1) << block.Size; place++)
            {
                var bit = _bitAt[block.Pass][place];
                parity ^= bit < bits.Length ? bits[bit] : 0;
            }

            return parity;
        }

        private void Correct(Block place) => Bob[_bitAt[place.Pass][place.Index]] ^= 1;

        private void Start(int pass, List<int> message)
        {
            var tops = new List<Block>();
            foreach (var top in Tops(pass).Where(Differs))
            {
                var block = top;
                while (block.Size > 0 && _known.ContainsKey(block.Half(0)))
                {
                    block = block.Half(Differs(block.Half(0)) ? 0 : 1);
                }

                if (block.Size == 0)
                {
                    Correct(block);
                }
                else
                {
                    tops.Add(top);
                    _searched.Add(block);
                }
            }

            if (tops.Count == 0)
            {
                return;
            }

            Append(message, pass, 5);
            var digits = Convert.ToString(tops.Count, 2).Length - 1;
            Append(message, digits, 4);
            Append(message, tops.Count - (1 << digits), digits);
            var rice = Convert.ToString(Tops(pass).Count() / tops.Count, 2).Length - 1;
            var before = -1;
            for (var i = 0; i < tops.Count; i++)
            {
                var distance = tops[i].Index - before - 1;
                before = tops[i].Index;
                Ones(message, distance >> rice);
                Append(message, distance, rice);
                var halved = tops[i].Size - _searched[i].Size;
                Ones(message, halved);
                Append(message, _searched[i].Index, halved);
            }
        }

        private static void Ones(List<int> message, int count) => message.AddRange([.. Enumerable.Repeat(1, count), 0]);

        private static void Append(List<int> message, int number, int digits) =>
            message.AddRange(Enumerable.Range(0, digits).Select(digit => number >> digit & 1));
    }
}
